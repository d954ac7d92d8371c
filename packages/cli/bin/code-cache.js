// Loads the files of the bundle with the code that V8 made of them at an earlier start, which is a
// third of what a start takes beyond Node's own. The first run of a command keeps its code, beside
// the bundle, as Python does; where that is not possible each start compiles anew.
//
// No code is taken that somebody else could have put there: what is kept belongs to the owner of
// the bundle, who alone may write it, and only a process of this owner keeps any. It is tied to
// the text that it was made of by the hash in the first line and the time of the file, to Node by
// its name, and to V8's version and flags by V8.
const fs = require('node:fs')
const { basename, dirname, join } = require('node:path')
const { Script } = require('node:vm')

const Module = module.constructor
const HEAD = '(function (exports, require, module, __filename, __dirname) {'
const FOOT = '\n})'
/** `// ` and 64 hexadecimal digits. */
const ID_LENGTH = 67
/** What comes before the code says of what text it is; so long that V8 need not move the code. */
const STAMP_LENGTH = 128
/** Later V8 has forgotten what only the start needed. */
const START_SECONDS_MAX = 60
const CODE_HEAD_LENGTH = 16
const WRITABLE_BY_OTHERS = 0o022
/** Their code is all that there is to say of a run with these: it is not that of the others. */
const Apart = ['--help', '--check']
/**
 * V8 takes no code that was made with other flags than there are. This is what the thread of the
 * store sets for the whole process (store/checkpoint-worker.ts in the broker), and what it was
 * before. It cannot be set before all else: V8 would take none of Node's own code then.
 */
const ThreadFlags = ['--wasm-num-compilation-tasks=1', '--wasm-tiering-budget=1000000000']
/** Of Node 22 and later, and of Node 20. */
const FlagsBefore = [
  ['--wasm-num-compilation-tasks=128', '--wasm-tiering-budget=13000000'],
  ['--wasm-num-compilation-tasks=128', '--wasm-tiering-budget=1800000'],
]
const WORD = /^[a-z][a-z-]{0,19}$/

/**
 * @typedef {object} Compiled
 * @property {Script} script
 * @property {string} stamp
 * @property {string} path where its code is to be kept
 */

/** @type {Compiled[]} */
const unkept = []
/** Of the flags when the first file was compiled. */
let flagsBefore = ''
let folder = ''
let command = ''

/**
 * @param {string} file the first of the bundle
 * @param {readonly string[]} words of the command line
 */
exports.start = (file, words) => {
  folder = join(dirname(file), 'cache')
  command = commandOf(words)
  // A broker is one for long: it says when it has started.
  process.once('godwit:started', keep)
  process.once('exit', code => {
    if (code === 0 && process.uptime() < START_SECONDS_MAX) keep()
  })
  load(file)
}

/**
 * What decides which functions a run needs, so that each kind of run has those.
 * @param {readonly string[]} words
 * @returns {string}
 */
function commandOf([first = '', second = '', ...rest]) {
  const names = first === 'bench' ? [first, second] : [first]
  const apart = Apart.find(word => [first, second, ...rest].includes(word)) ?? ''
  return [...names.filter(name => WORD.test(name)), apart.slice(2)].filter(Boolean).join('-')
}

/**
 * As `require` does, but for where the code is from.
 * @param {string} file
 * @returns {unknown}
 */
function load(file) {
  const known = require.cache[file]
  if (known !== undefined) return known.exports
  const loaded = new Module(file, module)
  loaded.filename = file
  require.cache[file] = loaded
  const { exports } = loaded
  const place = dirname(file)
  const others = Module.createRequire(file)
  /** @type {(id: string) => unknown} */
  const find = id => (id.startsWith('./') ? load(join(place, id)) : others(id))
  const run = compile(file).runInThisContext()
  run.call(exports, exports, Object.assign(find, others), loaded, file, place)
  loaded.loaded = true
  return loaded.exports
}

/**
 * @param {string} file
 * @returns {Script}
 */
function compile(file) {
  const text = fs.readFileSync(file, 'utf8')
  const { mtimeMs, uid } = fs.statSync(file)
  const stamp = `${text.slice(0, ID_LENGTH)} ${mtimeMs}`.padEnd(STAMP_LENGTH)
  const name = [basename(file, '.js'), command, process.version, process.arch]
  const path = join(folder, `${name.filter(Boolean).join('.')}.code`)
  const kept = read(path, stamp, uid)
  const script = new Script(HEAD + text + FOOT, { filename: file, cachedData: kept })
  // What V8 has rejected was made with other flags; it stays for those who have these.
  if (kept === undefined) {
    flagsBefore ||= flagsNow()
    unkept.push({ script, stamp, path })
  }
  return script
}

/**
 * @param {string} path
 * @param {string} stamp of the text
 * @param {number} uid of its owner
 * @returns {Buffer | undefined} undefined when there is none that can be used
 */
function read(path, stamp, uid) {
  let file = -1
  try {
    file = fs.openSync(path, 'r')
    const status = fs.fstatSync(file)
    // Windows has neither of the two: what may write into a folder is a matter of that folder.
    const isSafe = status.uid === uid && (status.mode & WRITABLE_BY_OTHERS) === 0
    if (!isSafe && process.platform !== 'win32') return undefined
    const bytes = fs.readFileSync(file)
    const isOfText = bytes.toString('latin1', 0, STAMP_LENGTH) === stamp
    return isOfText ? bytes.subarray(STAMP_LENGTH) : undefined
  } catch {
    return undefined
  } finally {
    if (file !== -1) fs.closeSync(file)
  }
}

/** Keeps the code of what has run until now. Where nothing can be kept, nothing is. */
function keep() {
  const all = unkept.splice(0)
  if (all.length === 0 || process.env.NODE_V8_COVERAGE !== undefined) return
  try {
    // The file of another user, root's too, would be in the way of who removes the package.
    const owner = fs.statSync(dirname(folder)).uid
    if (process.geteuid !== undefined && process.geteuid() !== owner) return
    fs.mkdirSync(folder, { recursive: true, mode: 0o755 })
    withFlagsAsBefore(() => {
      for (const one of all) write(one)
    })
  } catch {
    // A folder that cannot be written to is no reason to fail: the start was only slower.
  }
}

/** @param {() => void} act not called when the flags cannot be what they were */
function withFlagsAsBefore(act) {
  if (flagsNow() === flagsBefore) return act()
  try {
    if (FlagsBefore.some(flags => set(flags) === flagsBefore)) act()
  } finally {
    set(ThreadFlags)
  }
}

/**
 * @param {readonly string[]} flags
 * @returns {string} `flagsNow`
 */
function set(flags) {
  const { setFlagsFromString } = require('node:v8')
  for (const flag of flags) setFlagsFromString(flag)
  return flagsNow()
}

/** @returns {string} what code begins with: V8's version, the length of the text, the flags */
function flagsNow() {
  return new Script('0').createCachedData().toString('latin1', 0, CODE_HEAD_LENGTH)
}

/** @param {Compiled} compiled */
function write({ script, stamp, path }) {
  // In a container each start may have the same number: one that was killed is in nobody's way.
  const part = `${path}.${process.pid}-${Date.now()}.part`
  const file = fs.openSync(part, 'wx', 0o644)
  try {
    try {
      fs.writeFileSync(
        file,
        Buffer.concat([Buffer.from(stamp, 'latin1'), script.createCachedData()]),
      )
      // Whole or not at all, also after the power has failed: V8 does not look at all of it.
      fs.fsyncSync(file)
    } finally {
      fs.closeSync(file)
    }
    fs.renameSync(part, path)
  } catch (error) {
    // On a full disk each start would leave one more.
    fs.rmSync(part, { force: true })
    throw error
  }
}
