// The options of pub, sub and rr about messages, with Mosquitto's letters.

import { usage } from '../failure.ts'
import { checkFormat } from '../output/format.ts'
import type { ClientChoice } from './choice.ts'
import {
  ALL,
  addTopic,
  CLIENTS,
  leadingNumber,
  type OptionGroup,
  option,
  PUB,
  PUB_RR,
  qosOf,
  RR,
  SUB,
  SUB_CHECK,
  SUB_RR,
  SUB_RR_CHECK,
  setSource,
  topicFilter,
  topicName,
  WRONG,
  wholeNumber,
} from './option.ts'

const MOST: number = Number.MAX_SAFE_INTEGER

export const MessageOptions: readonly OptionGroup[] = [
  {
    title: 'What to publish',
    options: [
      option(PUB_RR, '-t --topic', '<topic>', 'where to', addTopic),
      option(PUB_RR, '-m --message', '<text>', 'the message', (choice, value) => {
        setSource(choice, { kind: 'text', text: value })
      }),
      option(PUB_RR, '-f --file', '<file>', 'the message is in a file', (choice, value) => {
        setSource(choice, { kind: 'file', path: value })
      }),
      option(PUB_RR, '-s --stdin-file', null, 'standard input is the message', choice => {
        setSource(choice, { kind: 'stdin' })
      }),
      option(
        PUB_RR,
        '-l --stdin-line',
        null,
        'each line of standard input is a message',
        choice => {
          setSource(choice, { kind: 'lines' })
        },
      ),
      option(PUB_RR, '-n --null-message', null, 'an empty message', choice => {
        setSource(choice, { kind: 'empty' })
      }),
      option(
        PUB,
        '--json',
        null,
        'each line of standard input is JSON, as of sub --json',
        choice => {
          setSource(choice, { kind: 'json' })
        },
      ),
      option(
        PUB,
        '--replay',
        '<file>',
        'messages of sub --record, as they came',
        (choice, value) => {
          setSource(choice, { kind: 'replay', path: value })
        },
      ),
      option(PUB, '--speed', '<n>x', 'replay so much faster, or max', (choice, value) => {
        choice.replaySpeed = speedOf(value)
      }),
      option(
        PUB,
        '-r --retain -retain',
        null,
        'the broker keeps it for later subscribers',
        choice => {
          choice.retain = true
        },
      ),
      option(PUB, '--repeat', '<n>', 'publish it so many times', (choice, value) => {
        choice.repeatCount = wholeNumber('--repeat', value, 1, MOST)
      }),
      option(PUB, '--repeat-delay', '<seconds>', 'wait between them', (choice, value) => {
        choice.repeatDelaySeconds = leadingNumber(value)
        if (choice.repeatDelaySeconds < 0) usage('--repeat-delay cannot be negative', WRONG)
      }),
      option(PUB, '--wait -wait', null, 'stay connected', choice => {
        choice.wait = true
      }),
      option(RR, '-e', '<topic>', 'where the answer comes', (choice, value) => {
        choice.responseTopic = topicName('response', value)
      }),
      option(RR, '--latency', null, 'print how long each answer took', choice => {
        choice.latency = true
      }),
    ],
  },
  {
    title: 'What to subscribe to',
    options: [
      option(SUB, '-t --topic', '<filter>', 'topic filter, again for more', addTopic),
      option(SUB, '-T --filter-out', '<filter>', 'leave out these topics', (choice, value) => {
        // An empty one leaves nothing out.
        if (value !== '') choice.filterOuts.push(topicFilter('filter', value))
      }),
      option(SUB, '-U --unsubscribe', '<filter>', 'unsubscribe from it', (choice, value) => {
        choice.unsubscribes.push(topicFilter('unsubscribe', value))
      }),
      option(SUB_RR, '-R', null, 'no retained messages', choice => {
        choice.noRetained = true
        choice.retainHandling = 2
      }),
      option(SUB, '--retained-only', null, 'only retained ones; end at the first other', choice => {
        choice.retainedOnly = true
      }),
      option(SUB, '--remove-retained', null, 'clear each retained message that comes', choice => {
        choice.removeRetained = true
      }),
      option(SUB_RR, '--retain-as-published', null, 'leave the retain flag as it was', choice => {
        choice.retainAsPublished = true
      }),
      option(SUB_RR, '--retain-handling', '<when>', 'always, new or never', (choice, value) => {
        const when = ['always', 'new', 'never'].indexOf(value)
        if (when < 0) usage(`--retain-handling takes always, new or never, not ${value}`, WRONG)
        choice.retainHandling = when === 0 ? 0 : when === 1 ? 1 : 2
      }),
      option(SUB, '-C', '<n>', 'end after so many messages', (choice, value) => {
        choice.count = wholeNumber('-C', value, 1, MOST)
      }),
      option(
        SUB_RR_CHECK,
        '-W',
        '<seconds>',
        'end after this time with code 27',
        (choice, value) => {
          choice.timeoutSeconds = wholeNumber('-W', value, 1, MOST)
        },
      ),
      option(SUB, '-E', null, 'end when the broker has confirmed', choice => {
        choice.exitAfterSubscribe = true
      }),
    ],
  },
  {
    title: 'What to print',
    options: [
      option(SUB_RR, '-v --verbose', null, 'the topic before the payload', choice => {
        choice.verbose = true
      }),
      option(SUB_RR, '-F', '<format>', 'like this, see below', (choice, value) => {
        checkFormat(value)
        choice.format = value
      }),
      option(SUB_RR, '--pretty', null, 'JSON of %j and %J over several lines', choice => {
        choice.pretty = true
      }),
      option(SUB_RR, '-N', null, 'nothing after a payload', choice => {
        choice.newline = false
      }),
      option(SUB_CHECK, '--json', null, 'JSON, of sub a line per message', choice => {
        choice.json = true
      }),
      option(SUB, '--go-format', null, 'topic, payload and retain flag between tabs', choice => {
        choice.goFormat = true
      }),
      option(
        SUB,
        '--record',
        '<file>',
        'write them to a file for pub --replay',
        (choice, value) => {
          choice.record = value
        },
      ),
      option(SUB, '--random-filter', '<percent>', 'only so many of them', (choice, value) => {
        choice.randomFilter = Math.trunc(100 * leadingNumber(value))
        if (choice.randomFilter < 10 || choice.randomFilter > 10_000) {
          usage(`--random-filter takes 0.1 to 100, not ${JSON.stringify(value)}`, WRONG)
        }
      }),
      option(SUB, '-w --watch', null, 'each topic keeps its line on the terminal', choice => {
        choice.watch = true
      }),
      option(SUB, '--message-rate', null, 'how many came in each second instead', choice => {
        choice.messageRate = true
      }),
    ],
  },
  {
    title: 'In general',
    options: [
      option(CLIENTS, '-q --qos', '<qos>', '0, 1 or 2 (default: 0)', (choice, value) => {
        choice.qos = qosOf('-q', value)
      }),
      option(ALL, '-d --debug --dump -dump', null, 'every packet to standard error', choice => {
        choice.dump = true
      }),
      option(ALL, '--quiet', null, 'no errors once it runs', choice => {
        choice.quiet = true
      }),
    ],
  },
]

/** `2x`, `0.5x`, `2` or `max`. */
function speedOf(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY
  const speed = /^\d*\.?\d+x?$/.test(text) ? Number.parseFloat(text) : 0
  if (speed <= 0) usage(`--speed takes 2x, 0.5x or max, not ${JSON.stringify(text)}`, WRONG)
  return speed
}

/** Only what TypeScript cannot see: options that a command does not have together. */
export function checkTogether(choice: ClientChoice): void {
  if (choice.noRetained && choice.retainedOnly) {
    usage("Combining '-R' and '--retained-only' makes no sense.", WRONG)
  }
}
