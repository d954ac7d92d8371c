// Who may come in at `godwit serve`, and who may do what: its files and certificates as hooks, for
// all listeners or for one.

import type {
  AclClient,
  AclFile,
  ConnectingClient,
  Hooks,
  ListenOptions,
  Origin,
  PasswordFile,
} from '@godwit/broker'
import { ReasonCode } from '@godwit/packet'
import { type AccessChoice, accessOf } from './access-choice.ts'
import { usage } from './failure.ts'
import { openAcl, reloadAcl, tellAcl } from './serve-acl.ts'
import type { ReadyConfig } from './serve-flags.ts'
import { checkPasswords, openPasswords, reloadPasswords, tellPasswords } from './serve-passwords.ts'

/** Who may come in at a listener, with its files read. */
interface Access {
  readonly choice: AccessChoice
  readonly passwords: PasswordFile | null
  readonly acl: AclFile | null
}

interface Log {
  info(text: string): void
  warn(text: string): void
  error(text: string): void
}

/** What of the configuration is about it. */
type AccessConfig = Pick<
  ReadyConfig,
  'access' | 'ownAccess' | 'listeners' | 'clientIdPrefix' | 'payloadBytesMax' | 'broker'
>

/** Every listener's access. Files that several have are read once. */
export class AccessSet {
  private everywhere: Access
  private own: ReadonlyMap<string, Access>
  private config: AccessConfig
  private readonly passwordsByPath = new Map<string, PasswordFile>()
  private readonly aclsByPath = new Map<string, AclFile>()
  /** What nobody asks for at the start nobody asks for later: it costs time with each message. */
  readonly askedFirst: AccessSet['asks']

  /** @throws CommandFailure for a file that cannot be read */
  constructor(config: AccessConfig) {
    this.config = config
    this.everywhere = this.open(config.access)
    this.own = this.openOwn(config)
    this.askedFirst = this.asks
  }

  get hasFiles(): boolean {
    return this.passwordFiles.size + this.aclFiles.size > 0
  }

  /** For `--check`. @throws CommandFailure that names each wrong line */
  check(): void {
    for (const { passwords } of this.all()) if (passwords !== null) checkPasswords(passwords)
  }

  tell(log: Log): void {
    for (const passwords of this.passwordFiles) tellPasswords(passwords, log)
    for (const acl of this.aclFiles) tellAcl(acl, this.checksNames(acl), log)
  }

  /** Reads the files again. @returns whether permissions may have changed */
  reload(log: Log): boolean {
    for (const passwords of this.passwordFiles) reloadPasswords(passwords, log)
    let isChanged = false
    for (const acl of this.aclFiles) {
      if (reloadAcl(acl, this.checksNames(acl), log)) isChanged = true
    }
    return isChanged
  }

  /**
   * Takes over another choice.
   * @param kept names of listeners that it does not know: who comes in there stays as it was
   * @throws CommandFailure; then all stays as it was
   */
  replace(config: AccessConfig, kept: readonly string[] = []): void {
    const next = new AccessSet(config)
    const own = new Map(next.own)
    for (const name of kept) own.set(name, this.at(name))
    this.config = config
    this.everywhere = next.everywhere
    this.own = own
  }

  /** Which questions have to be asked at all; each costs time. */
  get asks(): { readonly who: boolean; readonly what: boolean; readonly size: boolean } {
    const { clientIdPrefix, payloadBytesMax } = this.config
    const all = this.all()
    return {
      who: clientIdPrefix !== null || all.some(access => !isOpen(access)),
      what: all.some(({ acl }) => acl !== null),
      size: payloadBytesMax !== null,
    }
  }

  authenticate(client: ConnectingClient): ReturnType<NonNullable<Hooks['authenticate']>> {
    const { clientIdPrefix } = this.config
    if (clientIdPrefix !== null && !client.clientId.startsWith(clientIdPrefix)) {
      const reasonString = 'client ids begin otherwise here'
      return { reasonCode: ReasonCode.NOT_AUTHORIZED, reasonString }
    }
    const { choice, passwords } = this.at(client.origin.listener)
    const username = certificateName(client, choice)
    // A name that nobody has checked could be that of a certificate: it takes a password then.
    if (username !== '') return { reasonCode: 0, username }
    if (passwords !== null) return passwords.authenticate(client)
    if (choice.certificateUserNames !== null) return false
    // Who has nothing said has nothing opened: with users of SCRAM that is the only way in.
    return choice.allowAnonymous ?? this.config.broker.scram === undefined
  }

  /** Of a will of before a restart it is not known where its client came in. */
  mayPublish(client: Client, topic: string): boolean {
    const { transport, listener } = client.origin
    const { listeners } = this.config
    const names = transport === 'unknown' ? listeners.map(nameOf) : [listener]
    return names.some(name => this.at(name).acl?.mayPublish(client, topic) ?? true)
  }

  mayReceive(client: Client, topic: string): boolean {
    return this.at(client.origin.listener).acl?.mayReceive(client, topic) ?? true
  }

  /** @returns the reason code of a payload that is too large */
  publish(payload: Uint8Array): number | undefined {
    const most = this.config.payloadBytesMax
    if (most === null || payload.length <= most) return undefined
    return ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR
  }

  private get passwordFiles(): ReadonlySet<PasswordFile> {
    return new Set(this.all().flatMap(({ passwords }) => passwords ?? []))
  }

  private get aclFiles(): ReadonlySet<AclFile> {
    return new Set(this.all().flatMap(({ acl }) => acl ?? []))
  }

  private at(listener: string): Access {
    return this.own.get(listener) ?? this.everywhere
  }

  private all(): Access[] {
    return [this.everywhere, ...this.own.values()]
  }

  /** Whether somebody asks for a password before a user name of this file is believed. */
  private checksNames(acl: AclFile): boolean {
    if (this.config.broker.scram !== undefined) return true
    return this.all()
      .filter(access => access.acl === acl)
      .every(({ choice, passwords }) => passwords !== null || choice.certificateUserNames !== null)
  }

  private openOwn({ access, ownAccess }: AccessConfig): ReadonlyMap<string, Access> {
    return new Map(
      [...ownAccess].map(([name, fields]) => [name, this.open(accessOf(fields, access))]),
    )
  }

  private open(choice: AccessChoice): Access {
    const { passwordFile, aclFile } = choice
    const allowAnonymous = choice.allowAnonymous ?? false
    return {
      choice,
      passwords:
        passwordFile === null
          ? null
          : once(this.passwordsByPath, `${allowAnonymous} ${passwordFile}`, () =>
              openPasswords({ file: passwordFile, allowAnonymous }),
            ),
      acl: aclFile === null ? null : once(this.aclsByPath, aclFile, () => openAcl(aclFile)),
    }
  }
}

/** What the broker calls it: without a name it has that of its transport. */
export function nameOf({ name, unix, tls, ws }: ListenOptions): string {
  if (name !== undefined) return name
  if (unix !== undefined) return 'unix'
  const isWebSocket = ws !== undefined && ws !== false
  if (tls !== undefined) return isWebSocket ? 'wss' : 'tls'
  return isWebSocket ? 'ws' : 'tcp'
}

type Client = AclClient & { readonly origin: Pick<Origin, 'listener' | 'transport'> }

/** @throws CommandFailure when no listener takes certificates of clients */
export function checkCertificateUsers(listeners: readonly ListenOptions[]): void {
  const takes = ({ tls, proxyProtocol }: ListenOptions): boolean =>
    tls?.caFile !== undefined ||
    tls?.caDirectory !== undefined ||
    (typeof proxyProtocol === 'object' && proxyProtocol.trustCertificate === true)
  if (listeners.some(takes)) return
  usage('user names of certificates need a listener that asks clients for them: see --tls-ca')
}

/** @param isReloaded who may come in may be asked for later, if nobody asks now */
export function hooksOf(access: AccessSet, isReloaded: boolean): Hooks {
  const { who, what, size } = access.asks
  return {
    ...(who || isReloaded ? { authenticate: client => access.authenticate(client) } : {}),
    ...(what
      ? {
          authorizePublish: (client, topic) => access.mayPublish(client, topic),
          authorizeReceive: (client, topic) => access.mayReceive(client, topic),
        }
      : {}),
    ...(size ? { publish: ({ payload }) => access.publish(payload) } : {}),
  }
}

/** Whoever comes is let in. */
function isOpen({ choice, passwords }: Access): boolean {
  return (
    passwords === null && choice.certificateUserNames === null && choice.allowAnonymous !== false
  )
}

/** Empty: it brings none, or none is asked for. */
function certificateName({ origin }: ConnectingClient, choice: AccessChoice): string {
  const { certificate } = origin
  if (certificate === null || choice.certificateUserNames === null) return ''
  const { commonName, subject } = certificate
  return choice.certificateUserNames === 'subject' ? subject : commonName
}

function once<T>(known: Map<string, T>, key: string, open: () => T): T {
  const found = known.get(key)
  if (found !== undefined) return found
  const opened = open()
  known.set(key, opened)
  return opened
}
