// What every broker of a comparison is asked to do: the words that somebody would type.

export interface Scenario {
  readonly name: string
  readonly about: string
  readonly command: 'load' | 'ping'
  readonly options: string
  readonly qos: 0 | 1 | 2
  /** Open loop: what counts is the latency at a rate that all of them manage. */
  readonly isOpenLoop: boolean
}

export const Scenarios: readonly Scenario[] = [
  {
    name: 'pairs-qos0',
    about: '50 publishers to 50 subscribers, 64 B, QoS 0, 1000 under way each',
    command: 'load',
    options: '--publishers 50 --window 1000',
    qos: 0,
    isOpenLoop: false,
  },
  {
    name: 'topics-qos0',
    about: '50 pairs, each publisher on 10 topics by chance, wildcard subscriptions, QoS 0',
    command: 'load',
    options: '--publishers 50 --window 1000 --topic load/{client}/{random:10}',
    qos: 0,
    isOpenLoop: false,
  },
  {
    name: 'pairs-qos1',
    about: '50 publishers to 50 subscribers, 64 B, QoS 1, 20 under way each',
    command: 'load',
    options: '--publishers 50 --max-inflight 20 --qos 1',
    qos: 1,
    isOpenLoop: false,
  },
  {
    name: 'stored-qos1',
    about: 'as pairs-qos1, with sessions that outlive their connections: all is to be stored',
    command: 'load',
    options: '--publishers 50 --max-inflight 20 --qos 1 --keep-session',
    qos: 1,
    isOpenLoop: false,
  },
  {
    name: 'pairs-qos2',
    about: '50 publishers to 50 subscribers, 64 B, QoS 2, 20 under way each',
    command: 'load',
    options: '--publishers 50 --max-inflight 20 --qos 2',
    qos: 2,
    isOpenLoop: false,
  },
  {
    name: 'fan-out',
    about: '1 publisher to 100 subscribers, 64 B, QoS 0, 100 under way',
    command: 'load',
    options: '--fan fan-out --subscribers 100 --window 100',
    qos: 0,
    isOpenLoop: false,
  },
  {
    name: 'fan-in',
    about: '100 publishers to 1 subscriber, 64 B, QoS 0, 10 under way each',
    command: 'load',
    options: '--fan fan-in --publishers 100 --window 10',
    qos: 0,
    isOpenLoop: false,
  },
  {
    name: 'payload-4k',
    about: '20 publishers to 20 subscribers, 4 KiB, QoS 0, 50 under way each',
    command: 'load',
    options: '--publishers 20 --window 50 --size 4k',
    qos: 0,
    isOpenLoop: false,
  },
  {
    name: 'ping',
    about: '100 pairs that bounce one message each, 64 B, QoS 0',
    command: 'ping',
    options: '--pairs 100 --wsubs 0',
    qos: 0,
    isOpenLoop: false,
  },
  {
    name: 'steady-qos1',
    about: 'open loop: 50 pairs, 2000 messages/s in all at random times, QoS 1',
    command: 'load',
    options: '--publishers 50 --rate 2k/s --arrival poisson --qos 1',
    qos: 1,
    isOpenLoop: true,
  },
]
