#!/usr/bin/env node
// The command `godwit`. It is not compiled, so that npm can link it before the first build.
import '../dist/start.js'
