// A few of the command lines that Mosquitto's clients and ours must answer alike; all of them are
// in mosquitto-clients.long.test.ts.

import { testAlike } from './alike.ts'
import { Scripts } from './scripts.ts'

testAlike(Scripts.filter(({ quick }) => quick === true))
