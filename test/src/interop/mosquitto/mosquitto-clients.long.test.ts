// All command lines that Mosquitto's clients and ours must answer alike.

import { testAlike } from './alike.ts'
import { Scripts } from './scripts.ts'

testAlike(Scripts)
