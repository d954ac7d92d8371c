// Request and response: one response topic per client, a correlation for each request, and the
// answering side. MQTT 5.0 section 4.10.

import { aborted, limited } from './abort.ts'
import type { ClientCore } from './core.ts'
import { ignore } from './deferred.ts'
import { invalidArgument, listenerError, MqttError } from './errors.ts'
import { Limits } from './limits.ts'
import type { Message } from './message.ts'
import { checkNames, type OptionNames } from './option-names.ts'
import type { MessageProperties, Payload } from './options.ts'
import { REFUSED, type Subscription } from './subscription.ts'

const TIMEOUT_MS = 30_000
const IDLE_MS = 1000

export interface RequestOptions
  extends Omit<MessageProperties, 'correlationData' | 'responseTopic'> {
  /** Default: 1, so that the server can say that nobody listens. */
  readonly qos?: 0 | 1 | 2
  /** Default: 30 seconds. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface RequestManyOptions extends RequestOptions {
  /** Ends when this long no answer has come. Default: a second. */
  readonly idleMs?: number
  /** Ends after so many answers. */
  readonly answersMax?: number
}

const RequestNames: OptionNames<RequestOptions> = {
  messageExpirySeconds: 1,
  contentType: 1,
  userProperties: 1,
  utf8: 1,
  qos: 1,
  timeoutMs: 1,
  signal: 1,
}
const RequestManyNames: OptionNames<RequestManyOptions> = {
  ...RequestNames,
  idleMs: 1,
  answersMax: 1,
}

/** What a handler of `respond` gives back; undefined sends no answer. */
export type Answer = Payload | undefined

interface Pending {
  answered(message: Message): void
  failed(error: MqttError): void
}

export class Requests {
  private readonly core: ClientCore
  private readonly pending = new Map<string, Pending>()
  private responses: Subscription<Readonly<Record<string, string>>> | null = null
  private responseTopic = ''
  private count = 0

  constructor(core: ClientCore) {
    this.core = core
  }

  /** @throws MqttError `no-responders`, `timeout`, `aborted`, or what `publish` throws */
  request(topic: string, payload: Payload, options: RequestOptions): Promise<Message> {
    return new Promise((resolve, reject) => {
      checkNames('request', options, RequestNames)
      this.begin(topic, payload, options, 1, {
        answered: resolve,
        failed: reject,
      })
    })
  }

  /** All answers to one request, as they come. */
  async *requestMany(
    topic: string,
    payload: Payload,
    options: RequestManyOptions,
  ): AsyncGenerator<Message, void, void> {
    checkNames('requestMany', options, RequestManyNames)
    const { idleMs = IDLE_MS, answersMax = Number.POSITIVE_INFINITY, ...own } = options
    const { platform } = this.core
    const answers: Message[] = []
    const state: { error: MqttError | null; idle: boolean; wake: () => void } = {
      error: null,
      idle: false,
      wake: ignore,
    }
    let timer: unknown = null
    const rest = (): void => {
      platform.cancel(timer)
      timer = platform.after(idleMs, () => {
        state.idle = true
        state.wake()
      })
    }
    const end = this.begin(topic, payload, own, answersMax, {
      answered: message => {
        answers.push(message)
        if (answers.length >= Limits.answers) {
          const text = `the reader is ${Limits.answers} answers behind`
          state.error = new MqttError('buffer-full', text)
          end()
        } else if (answers.length * 2 >= Limits.answers) this.core.engine.giveTurn()
        rest()
        state.wake()
      },
      failed: error => {
        state.error = error
        state.wake()
      },
    })
    rest()
    try {
      for (let given = 0; given < answersMax; ) {
        const message = answers.shift()
        if (message !== undefined) {
          given++
          yield message
          continue
        }
        if (state.error !== null) throw state.error
        if (state.idle) return
        await new Promise<void>(resolve => {
          state.wake = resolve
        })
      }
    } finally {
      platform.cancel(timer)
      end()
    }
  }

  /**
   * Answers what comes on a topic until the subscription ends. Whoever asks what the handler
   * cannot answer, or where nobody may answer, must not end the service for all others.
   */
  async respond(
    subscription: Subscription<Readonly<Record<string, string>>>,
    handler: (request: Message) => Answer | Promise<Answer>,
  ): Promise<void> {
    const { publisher } = this.core
    await subscription.forEach(
      async request => {
        let answer: Answer
        try {
          answer = await handler(request)
        } catch (cause) {
          this.core.reportError(listenerError(cause))
          const { receipt } = request
          request.receipt = null
          receipt?.refused(REFUSED)
          return
        }
        const { responseTopic, correlationData } = request.properties
        if (answer === undefined || responseTopic === undefined) return
        const own = correlationData === undefined ? {} : { correlationData }
        // Its failure is an event.
        await publisher.publish(responseTopic, answer, { qos: 1, ...own }).catch(ignore)
      },
      { concurrency: Limits.respondConcurrency },
    )
  }

  /** @returns ends the request */
  private begin(
    topic: string,
    payload: Payload,
    options: RequestOptions,
    answersMax: number,
    pending: Pending,
  ): () => void {
    const { core } = this
    const { timeoutMs = TIMEOUT_MS, signal, qos = 1, ...properties } = options
    const key = this.newKey()
    let answers = 0
    let letGo = ignore
    const end = (): void => {
      letGo()
      this.pending.delete(key)
    }
    const fail = (error: MqttError): void => {
      end()
      pending.failed(error)
    }
    try {
      if (core.refuses !== null) throw core.refuses
      if (signal?.aborted === true) throw aborted(signal)
      this.listen()
      if (this.pending.size >= Limits.requests) {
        throw new MqttError('queue-full', `${Limits.requests} requests wait for an answer`)
      }
    } catch (error) {
      fail(error as MqttError)
      return end
    }
    letGo = limited(core.platform, signal, timeoutMs, 'no answer', fail)
    this.pending.set(key, {
      answered: message => {
        if (++answers >= answersMax) end()
        pending.answered(message)
      },
      failed: fail,
    })
    this.send(topic, payload, key, { ...properties, qos }).catch((error: MqttError) => {
      if (this.pending.has(key)) fail(error)
    })
    return end
  }

  private async send(
    topic: string,
    payload: Payload,
    key: string,
    options: MessageProperties & { readonly qos: 0 | 1 | 2 },
  ): Promise<void> {
    await this.responses?.ready
    const { responseTopic } = this
    const correlationData = new TextEncoder().encode(key)
    const { publisher } = this.core
    const result = await publisher.publish(topic, payload, {
      ...options,
      responseTopic,
      correlationData,
    })
    if (result.noMatchingSubscribers) {
      throw new MqttError('no-responders', `nobody has subscribed to ${topic}`)
    }
  }

  /** Subscribes to the response topic, once. */
  private listen(): void {
    if (this.responses !== null) return
    const { engine, platform } = this.core
    const prefix = engine.agreed?.responseInformation.replace(/\/$/, '') || 'response'
    if (/[+#]/.test(prefix)) throw invalidArgument('the response information has a wildcard')
    const own = engine.clientId.replace(/[+#/]/g, '_')
    this.responseTopic = `${prefix}/${own}/${hex(platform.randomBytes(8))}`
    const responses = this.core.subscriptions.add([this.responseTopic], {
      qos: 1,
      retainHandling: 'never',
      listener: message => this.received(message),
    })
    this.responses = responses
    responses.ready.catch((error: MqttError) => {
      if (this.responses === responses) this.responses = null
      for (const pending of [...this.pending.values()]) pending.failed(error)
    })
  }

  private received(message: Message): void {
    const { correlationData } = message.properties
    if (correlationData === undefined) return
    this.pending.get(new TextDecoder().decode(correlationData))?.answered(message.keep())
  }

  /** A number and chance: an answer to an earlier process fits no request of this one. */
  private newKey(): string {
    this.count++
    return `${this.count.toString(36)}-${hex(this.core.platform.randomBytes(6))}`
  }
}

function hex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}
