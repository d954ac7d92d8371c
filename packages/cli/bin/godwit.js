#!/usr/bin/env node
// The command `godwit`. It is not compiled, so that npm can link it before the first build. It
// takes the bundle, which starts faster, unless something was compiled after that.
import { statSync } from 'node:fs'

const BUNDLE = '../dist/godwit.js'
const BUILDS = ['../dist', '../../client/dist', '../../packet/dist']

/** @param {string} path @returns {number} 0 when it is not there */
const changedMs = path =>
  statSync(new URL(path, import.meta.url), { throwIfNoEntry: false })?.mtimeMs ?? 0

const compiledMs = Math.max(...BUILDS.map(folder => changedMs(`${folder}/.tsbuildinfo`)))
await import(changedMs(BUNDLE) > compiledMs ? BUNDLE : '../dist/start.js')
