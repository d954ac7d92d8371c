// Which name was meant: near ones are found, others are not made up.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from './nearest.ts'

const NAMES = ['--retain', '--retained-only', '-t', '-m', '--json', 'passwordFile', 'port']

for (const [text, meant] of [
  ['--retian', '--retain'],
  ['--retained-onyl', '--retained-only'],
  ['--jsn', '--json'],
  ['--JSON', '--json'],
  ['password', 'passwordFile'],
  ['prot', 'port'],
  ['password_file', 'passwordFile'],
  ['filePassword', 'passwordFile'],
  ['--only-retained', '--retained-only'],
  ['-T', '-t'],
  ['-x', null],
  ['--colour', null],
  ['', null],
  ['--', null],
  ['a', null],
  ['p', null],
] as const) {
  test(`'${text}' means ${meant}`, () => {
    assert.equal(nearest(text, NAMES), meant)
  })
}
