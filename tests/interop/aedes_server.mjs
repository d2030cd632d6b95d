// aedes on all its transports, with what it does logged. The first argument is the path of the settings, in JSON:
// {host, ports: {tcp, tls, mtls, ws, wss}, cert, key, ca, login: [user, password]}.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const settings = JSON.parse(readFileSync(process.argv[2]))
const load = createRequire(join(process.cwd(), 'package.json')) // the packages are there, not beside this file
const { Aedes } = load('aedes')
const { createServer } = load('aedes-server-factory')

const aedes = await Aedes.createBroker()
if (settings.login) {
  aedes.authenticate = (client, user, password, done) =>
    done(null, user === settings.login[0] && String(password) === settings.login[1])
}
for (const event of ['client', 'clientReady', 'clientDisconnect', 'keepaliveTimeout']) {
  aedes.on(event, client => console.log(event, client.id))
}
for (const event of ['clientError', 'connectionError']) {
  aedes.on(event, (client, error) => console.log(event, client.id, error.message))
}
aedes.on('subscribe', (asked, client) => console.log('subscribe', client?.id, JSON.stringify(asked)))
aedes.on('publish', (packet, client) => client && console.log('publish', client.id, packet.topic, packet.qos))

const own = { cert: readFileSync(settings.cert), key: readFileSync(settings.key) }
const mutual = { ...own, ca: readFileSync(settings.ca), requestCert: true, rejectUnauthorized: true }
const options = { tcp: {}, tls: { tls: own }, mtls: { tls: mutual }, ws: { ws: true }, wss: { ws: true, https: own } }
const servers = Object.entries(settings.ports).map(([kind, port]) =>
  createServer(aedes, options[kind]).listen(port, settings.host))
await Promise.all(servers.map(server => once(server, 'listening')))

process.on('SIGTERM', () => {
  servers.forEach(server => server.close())
  aedes.close(() => process.exit(0))
})
const about = JSON.parse(readFileSync(join('node_modules', 'aedes', 'package.json')))
console.log('aedes', about.version, 'started')
