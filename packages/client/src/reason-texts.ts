// The names of reason codes and of the return codes before MQTT 5.0.

/** The name of a reason code, e.g. `not authorized`. MQTT 5.0 section 2.4. */
export function reasonText(reasonCode: number): string {
  const text =
    reasonCode < UNSPECIFIED ? Answers[reasonCode] : REFUSALS.split('\n')[reasonCode - UNSPECIFIED]
  return text ?? `reason code ${reasonCode}`
}

/** The same, or the name of a return code before MQTT 5.0. MQTT 3.1.1 section 3.2.2.3. */
export function textOf(code: number, level: number): string {
  return level === 5 ? reasonText(code) : (ReturnTexts[code] ?? '')
}

const UNSPECIFIED = 0x80

const ReturnTexts: readonly string[] = [
  'accepted',
  'unacceptable protocol version',
  'identifier rejected',
  'server unavailable',
  'bad user name or password',
  'not authorized',
]

const Answers: { readonly [code: number]: string } = {
  0: 'success',
  4: 'disconnect with will message',
  16: 'no matching subscribers',
  17: 'no subscription existed',
}

/** From 0x80 on, without a gap. */
const REFUSALS = `unspecified error
malformed packet
protocol error
implementation specific error
unsupported protocol version
client identifier not valid
bad user name or password
not authorized
server unavailable
server busy
banned
server shutting down
bad authentication method
keep alive timeout
session taken over
topic filter invalid
topic name invalid
packet identifier in use
packet identifier not found
receive maximum exceeded
topic alias invalid
packet too large
message rate too high
quota exceeded
administrative action
payload format invalid
retain not supported
QoS not supported
use another server
server moved
shared subscriptions not supported
connection rate exceeded
maximum connect time
subscription identifiers not supported
wildcard subscriptions not supported`
