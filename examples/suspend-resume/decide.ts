/** What a page of yours does when somebody presses a button, or a channel such as Slack does by itself. */
import { haldir } from './haldir.ts'

const [asked] = await haldir.approvals.list({ state: 'pending' })
if (!asked) throw new Error('nothing is to be decided')
const { id, agent, tool, cost, args, reason, digest } = asked
console.log(`${agent} wants ${tool}: ${cost}, ${JSON.stringify(args)}, because ${reason}`)
await haldir.approvals.decide(id, { approve: true, by: 'ann', digest })
console.log('ann says yes')

await haldir.close()
