/**
 * A wire that takes its time, as a program of its own: on a network nobody pays for it with the time of the client, who is
 * what is measured. Argument: the port of the server. Tells its own port, and ends with the channel.
 */
import { wireTo } from '../servers/proxy.ts'

const wire = await wireTo(Number(process.argv[2]))
wire.delayMs = 1
process.send?.(wire.port)
process.on('disconnect', () => process.exit())
