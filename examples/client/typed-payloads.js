// A loop over values instead of bytes. The schema is one of any library that follows Standard
// Schema (Zod, Valibot, ArkType); here it is written out.
import { connect, decoded, json } from '@godwit/client'

/** @type {import('@godwit/client').PayloadSchema<{ power: number }>} */
const Reading = {
  '~standard': {
    validate: value => {
      if (typeof value === 'object' && value !== null && 'power' in value) {
        const { power } = value
        if (typeof power === 'number') return { value: { power } }
      }
      return { issues: [{ message: 'power is not a number' }] }
    },
  },
}

const client = await connect(process.env['MQTT_URL'] ?? 'mqtt://127.0.0.1:1883')
const readings = client.subscribe('site/+site/meter/+meter')

await client.publish('site/north/meter/7', JSON.stringify({ power: 230 }), { qos: 1 })
await client.publish('site/north/meter/8', 'broken', { qos: 1 })
await client.publish('site/south/meter/1', JSON.stringify({ power: 'much' }), { qos: 1 })
await client.publish('site/south/meter/2', JSON.stringify({ power: 12 }), { qos: 1 })

const values = decoded(readings, json(Reading), {
  invalid: (error, message) => console.log(error.code, message.params.meter),
})
for await (const { params, value } of values) {
  console.log(params.site, params.meter, value.power)
  if (params.meter === '2') break
}
await client.close()

// prints: north 7 230
// prints: invalid-payload 8
// prints: invalid-payload 1
// prints: south 2 12
