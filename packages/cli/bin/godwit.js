#!/usr/bin/env node
// The command `godwit`. It is not compiled, so that npm can link it before the first build, and
// CommonJS, which starts faster. It takes the bundle unless something was compiled after that.
const { statSync } = require('node:fs')
const { join } = require('node:path')

const BUNDLE = '../dist/bundle/start.js'
const BUILDS = ['../dist', '../../broker/dist', '../../client/dist', '../../packet/dist']

/** @param {string} path @returns {number} 0 when it is not there */
const changedMs = path => statSync(join(__dirname, path), { throwIfNoEntry: false })?.mtimeMs ?? 0

const compiledMs = Math.max(...BUILDS.map(folder => changedMs(`${folder}/.tsbuildinfo`)))
if (changedMs(BUNDLE) > compiledMs) {
  require('./code-cache.js').start(join(__dirname, BUNDLE), process.argv.slice(2))
} else {
  import('../dist/start.js')
}
