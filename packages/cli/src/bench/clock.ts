// The clock of the testers: microseconds since the start of the machine, the same for all processes
// of one machine, never set back.

/** Microseconds, a fraction included. */
export type NowUs = () => number

const [seconds, nanoseconds] = process.hrtime()
// performance.now() is the cheaper call on the same clock; it begins with the process.
const originUs = seconds * 1e6 + nanoseconds / 1e3 - performance.now() * 1e3

export const nowUs: NowUs = () => performance.now() * 1e3 + originUs
