/** The approver contract notices a channel that breaks any one of its promises. */
import type { Approval, ApproverPort } from '@haldir/core'
import { describe, expect, it } from 'vitest'
import { ApproverScene } from '../../packages/testing/src/approver-contract/scene.ts'
import { APPROVER_CHAPTERS, approverOffers } from '../../packages/testing/src/approver-contract.ts'
import { proves } from '../promises.ts'
import { failing } from './broken.ts'
import { type Desk, type DeskApprover, goodApprover, KEY, openDesk, sign } from './desk-driver.ts'

type Break = (good: DeskApprover, desk: Desk) => Partial<DeskApprover>

const run = (broken: Break = () => ({}), only?: readonly string[]) =>
  failing(
    APPROVER_CHAPTERS,
    async () => {
      const scene = await ApproverScene.open(() =>
        openDesk((desk) => {
          const good = goodApprover(desk)
          return { ...good, ...broken(good, desk) }
        }),
      )
      // One that can not even be closed has failed before.
      return { scene, close: () => scene.close().catch(() => {}) }
    },
    approverOffers,
    only,
  )

/** Shows something else than it was given. */
const showing =
  (change: (approval: Approval) => Approval): Break =>
  (good) => ({ show: (approval, note, signal) => good.show(change(approval), note, signal) })

/** Changes what is on the desk after it was put there. */
const afterwards =
  (change: (desk: Desk, approval: Approval) => void): Break =>
  (good, desk) => ({
    async show(approval, note, signal) {
      const answer = await good.show(approval, note, signal)
      change(desk, approval)
      return answer
    },
  })

/** Talks to Haldir through something. */
const through =
  (change: (port: ApproverPort) => Partial<ApproverPort>): Break =>
  (good) => ({
    open(port) {
      const plain = {
        say: port.say.bind(port),
        get: port.get.bind(port),
        note: port.note.bind(port),
        reject: port.reject.bind(port),
        clock: port.clock,
        random: port.random,
      }
      good.open({ ...plain, ...change(plain) })
    },
  })

/** Hears requests of its own another way. */
const hearing =
  (change: (body: string, request: Request) => { body: string; signature?: string } | Response): Break =>
  (good) => ({
    async fetch(request) {
      if (!request.url.endsWith('/desk/click') || request.method !== 'POST') return good.fetch(request)
      const changed = change(await request.text(), request)
      if (changed instanceof Response) return changed
      const { body, signature = request.headers.get('x-signature') ?? '' } = changed
      return good.fetch(new Request(request.url, { method: 'POST', body, headers: { 'x-signature': signature } }))
    },
  })

const DEAF = through(() => ({ say: async () => ({ ok: false, refused: 'invalid', why: 'no' }) }))
const YES = through((port) => ({ say: (id, say) => port.say(id, { ...say, approve: true }) }))
/** Says nothing of how it stands. */
const silentOf =
  (state: Approval['state']): Break =>
  (good) => ({
    async show(approval, note, signal) {
      return approval.state === state ? undefined : good.show(approval, note, signal)
    },
  })

const timers: NodeJS.Timeout[] = []
let listener = 0

/** What each does wrong, and a case that fails for it. */
const BROKEN: readonly (readonly [wrong: string, broken: Break, caught: string])[] = [
  [
    'leaves out what it costs',
    showing((approval) => ({ ...approval, cost: [] })),
    'a pending approval is shown whole: who asks for what, why, what it costs, and every argument',
  ],
  [
    'shows the first level of the arguments alone',
    showing((approval) => ({ ...approval, argsText: Object.entries(approval.args as object).join('\n') })),
    'a pending approval is shown whole: who asks for what, why, what it costs, and every argument',
  ],
  [
    'cuts long arguments, and can be pressed all the same',
    showing((approval) => ({ ...approval, argsText: approval.argsText.slice(0, 3_000) })),
    'what can not be shown whole can not be approved there',
  ],
  [
    'sends markup as it was written',
    afterwards((desk) => {
      for (const card of desk.cards) card.raw = card.text
    }),
    'what others have written neither acts where it is displayed, nor hides',
  ],
  [
    'shows characters that nobody sees',
    afterwards((desk, { reason, id }) => {
      for (const card of desk.cards) if (card.approval === id) card.text += reason
    }),
    'what others have written neither acts where it is displayed, nor hides',
  ],
  [
    'notes its key',
    (good) => ({
      async show(approval, note, signal) {
        return { ...((await good.show(approval, note, signal)) as object), key: KEY }
      },
    }),
    'what it is shown holds no secret of the channel, nor does what it notes, nor what it prints of itself',
  ],
  [
    'prints its key',
    (good) => Object.assign({ ...good }, { options: { key: KEY } }),
    'what it is shown holds no secret of the channel, nor does what it notes, nor what it prints of itself',
  ],
  [
    'shows its key',
    showing((approval) => ({ ...approval, reason: `${approval.reason} (key ${KEY})` })),
    'what it is shown holds no secret of the channel, nor does what it notes, nor what it prints of itself',
  ],
  [
    'waits for the answer',
    (good, desk) => ({
      async show(approval, note, signal) {
        const answer = await good.show(approval, note, signal)
        while (desk.cards.at(-1)?.canApprove) await new Promise((resolve) => setTimeout(resolve, 500).unref())
        return answer
      },
    }),
    'showing does not wait for a person',
  ],
  [
    'approves what it shows',
    (good) => {
      let port: ApproverPort
      return {
        open(given) {
          port = given
          good.open(given)
        },
        async show(approval, note, signal) {
          const answer = await good.show(approval, note, signal)
          if (note === undefined) await port.say(approval.id, { approve: true, by: 'desk:itself' })
          return answer
        },
      }
    },
    'showing does not wait for a person',
  ],
  [
    'notes what is no JSON',
    (good) => ({
      async show(approval, note, signal) {
        const answer = await good.show(approval, note, signal)
        return answer && { ...answer, at: new Date(), more: undefined }
      },
    }),
    'what it notes is JSON data, by which another process can go on',
  ],
  [
    'puts a new card every time',
    (good, desk) => ({
      show(approval, _, signal) {
        if (approval.state === 'pending') {
          desk.cards.push({ approval: approval.id, text: '', raw: '', digest: '', canApprove: false })
        }
        return good.show(approval, undefined, signal)
      },
    }),
    'shown again as it was noted, nothing is there twice, and nothing differs',
  ],
  [
    'can not go on without what it noted',
    (good) => {
      const known = new Set<string>()
      return {
        async show(approval, note, signal) {
          if (known.has(approval.id) && note === undefined) throw new Error('lost')
          known.add(approval.id)
          return good.show(approval, note, signal)
        },
      }
    },
    'a process that died before it noted anything leaves an approval that can be shown, and decided, again',
  ],
  [
    'has room for one card',
    afterwards((desk) => {
      desk.cards.splice(0, desk.cards.length - 1)
    }),
    'many at once are each decided for themselves',
  ],
  [
    'decides the newest, whichever was clicked',
    hearing((body) => {
      const click = JSON.parse(body)
      newest = click.approval > (newest || '') ? click.approval : newest
      const changed = JSON.stringify({ ...click, approval: newest })
      return { body: changed, signature: sign(changed) }
    }),
    'many at once are each decided for themselves',
  ],
  ...(['approved', 'denied', 'expired', 'withdrawn'] as const).map(
    (state) =>
      [
        `leaves the card as it was when it is ${state}`,
        silentOf(state),
        `when it was ${state} elsewhere that is shown, once, and nobody can approve it any more`,
      ] as const,
  ),
  [
    'leaves the button on a card that says it is over',
    afterwards((desk) => {
      for (const card of desk.cards) card.canApprove = true
    }),
    'when it was denied elsewhere that is shown, once, and nobody can approve it any more',
  ],
  [
    'asks about what is over already',
    (good) => ({
      show: (approval, note, signal) =>
        good.show(note === undefined ? { ...approval, state: 'pending' } : approval, note, signal),
    }),
    'what was over before it was ever shown is no question',
  ],
  [
    'decides by itself that a late answer counts',
    through((port) => ({
      async say(id, say) {
        const said = await port.say(id, say)
        if (!said.ok && said.refused === 'expired') Object.assign((await port.get(id)) as object, { state: 'approved' })
        return said
      },
    })),
    'when its time is over nobody can approve it, even before anyone has said so',
  ],
  [
    'shows the arguments as they were',
    (good) => {
      const known = new Map<string, string>()
      return {
        show(approval, note, signal) {
          const argsText = known.get(approval.id) ?? approval.argsText
          known.set(approval.id, argsText)
          return good.show({ ...approval, argsText }, note, signal)
        },
      }
    },
    'what was changed by an approver is shown as it is now',
  ],
  [
    'says it twice, to be sure',
    through((port) => ({
      async say(id, say) {
        const said = await port.say(id, say)
        await port.say(id, say)
        return said
      },
    })),
    'a yes is handed over once, with who says it and what it was said of',
  ],
  [
    'says it in the name of the channel',
    through((port) => ({ say: (id, say) => port.say(id, { ...say, by: 'desk' }) })),
    'a yes is handed over once, with who says it and what it was said of',
  ],
  [
    'does not say what it was said of',
    through((port) => ({ say: (id, { digest: _, ...say }) => port.say(id, say) })),
    'a yes is handed over once, with who says it and what it was said of',
  ],
  [
    'gives a grant with every yes',
    through((port) => ({ say: (id, say) => port.say(id, { ...say, grant: true }) })),
    'a yes is handed over once, with who says it and what it was said of',
  ],
  [
    'keeps reasons to itself',
    through((port) => ({ say: (id, { reason: _, ...say }) => port.say(id, say) })),
    'a no is handed over once, with its reason',
  ],
  ['takes a no for a yes', YES, 'a no is handed over once, with its reason'],
  [
    'knows everybody as the same',
    through((port) => ({ say: (id, say) => port.say(id, { ...say, by: 'desk:alice' }) })),
    'one yes of two leaves it open for the other, who is somebody else',
  ],
  [
    'says nothing to those who are too late',
    (good) => ({
      async fetch(request) {
        const answer = await good.fetch(request)
        const text = (await answer?.clone().text()) ?? ''
        return text.includes('decided') ? new Response('') : answer
      },
    }),
    'who decides too late is told so, and changes nothing',
  ],
  [
    'thanks everybody alike',
    (good) => ({
      async fetch(request) {
        const answer = await good.fetch(request)
        return answer && new Response('Thank you.')
      },
    }),
    'who may not decide is told so, differently from somebody who may, and nothing changes',
  ],
  [
    'says that it was said of whatever it is by now',
    through((port) => ({
      async say(id, say) {
        return port.say(id, { ...say, digest: (await port.get(id))?.digest ?? '' })
      },
    })),
    'a yes to arguments that have changed since does not count',
  ],
  [
    'tells nobody that it could not be taken',
    through((port) => ({
      say: (id, say) => port.say(id, say).catch(() => ({ ok: false as const, refused: 'unknown' as const, why: '' })),
    })),
    'what Haldir can not take the person learns of, and it counts when it is said again',
  ],
  [
    'hears nobody any more once something was not taken',
    (good) => {
      let lost = false
      return {
        async fetch(request) {
          if (lost) return new Response('Sorry.')
          const answer = await good.fetch(request)
          lost ||= answer?.status === 503
          return answer
        },
      }
    },
    'what Haldir can not take the person learns of, and it counts when it is said again',
  ],
  [
    'does not look at signatures',
    hearing((body) => ({ body, signature: sign(body) })),
    'what is forged changes nothing, and is put on record',
  ],
  [
    'tells nobody of forged clicks',
    through(() => ({ reject: async () => {} })),
    'what is forged changes nothing, and is put on record',
  ],
  [
    'hears nobody any more after a forged click',
    (good) => {
      let lost = false
      return {
        async fetch(request) {
          if (lost) return new Response('Sorry.')
          const answer = await good.fetch(request)
          lost ||= answer?.status === 401
          return answer
        },
      }
    },
    'what is forged changes nothing, and is put on record',
  ],
  [
    'counts what it hears',
    (good) => {
      let voices = 0
      return {
        open: (port) =>
          good.open({ ...port, ...bound(port), say: (id, say) => port.say(id, { ...say, by: `desk:${++voices}` }) }),
        fetch: (request) => fresh(good, request),
      }
    },
    'what comes twice counts once',
  ],
  [
    'decides when somebody follows a link',
    (good) => {
      let port: ApproverPort
      return {
        open(given) {
          port = given
          good.open(given)
        },
        show: (approval, note, signal) =>
          good.show(
            { ...approval, reason: `${approval.reason} https://app.example/desk/yes?${approval.id}` },
            note,
            signal,
          ),
        async fetch(request) {
          const { pathname, search } = new URL(request.url)
          if (pathname !== '/desk/yes') return good.fetch(request)
          await port.say(search.slice(1), { approve: true, by: 'desk:link' })
          return new Response('Approved.')
        },
      }
    },
    'whoever only looks, as a preview does, changes nothing',
  ],
  [
    'answers for others',
    (good) => ({
      fetch: async (request) => (await good.fetch(request)) ?? new Response('There is nothing here.', { status: 404 }),
    }),
    'requests that are for others are left alone, unread',
  ],
  [
    'reads what is for others',
    (good) => ({
      async fetch(request) {
        const copy = new Request(request.url, {
          method: request.method,
          headers: request.headers,
          body: (await request.text()) || null,
        })
        return good.fetch(copy)
      },
    }),
    'requests that are for others are left alone, unread',
  ],
  [
    'swallows that the desk is down',
    (good) => ({ show: (approval, note, signal) => good.show(approval, note, signal).catch(() => undefined) }),
    'what can not be told is refused, without an argument or a secret in the reason, and told later',
  ],
  [
    'repeats what it could not send',
    (good) => ({
      show: (approval, note, signal) =>
        good.show(approval, note, signal).catch((cause) => {
          throw new Error('could not be sent', { cause: Object.assign(cause, { body: approval.argsText }) })
        }),
    }),
    'what can not be told is refused, without an argument or a secret in the reason, and told later',
  ],
  [
    'does not find back',
    (good) => {
      let lost = false
      return {
        async show(approval, note, signal) {
          if (lost) throw new Error('lost')
          return good.show(approval, note, signal).catch((error) => {
            lost = true
            throw error
          })
        },
      }
    },
    'what can not be told is refused, without an argument or a secret in the reason, and told later',
  ],
  [
    'puts a card for every attempt',
    (good, desk) => ({
      async show(approval, note, signal) {
        const { id: approvalId } = approval
        desk.cards.push({ approval: approvalId, text: '', raw: '', digest: '', canApprove: false })
        return good.show(approval, note, signal)
      },
    }),
    'what can not be told is refused, without an argument or a secret in the reason, and told later',
  ],
  [
    'forgets an end that it could not tell',
    (good) => {
      const ended = new Set<string>()
      return {
        async show(approval, note, signal) {
          if (ended.has(approval.id)) return undefined
          if (approval.state !== 'pending') ended.add(approval.id)
          return good.show(approval, note, signal)
        },
      }
    },
    'an end that could not be told at first is told later',
  ],
  [
    'waits for ever',
    (good) => ({ show: (approval, note) => good.show(approval, note, new AbortController().signal) }),
    'it gives up when nobody waits any more, leaves nothing behind on the signal, and goes on afterwards',
  ],
  [
    'leaves a listener on the signal',
    (good) => ({
      show(approval, note, signal) {
        signal.addEventListener('abort', () => {})
        return good.show(approval, note, signal)
      },
    }),
    'it gives up when nobody waits any more, leaves nothing behind on the signal, and goes on afterwards',
  ],
  [
    'leaves a timer',
    (good) => ({
      open(port) {
        timers.push(setInterval(() => {}, 60_000))
        good.open(port)
      },
      show(approval, note, signal) {
        timers.push(setInterval(() => {}, 60_000))
        return good.show(approval, note, signal)
      },
    }),
    'it leaves no timer and no listener of the process when it is closed, and can be closed twice',
  ],
  [
    'leaves a timer of the clock it was given',
    (good) => {
      let port: ApproverPort
      return {
        open(given) {
          port = given
          good.open(given)
        },
        show(approval, note, signal) {
          port.clock.setTimeout(() => {}, 60_000)
          return good.show(approval, note, signal)
        },
      }
    },
    'it leaves no timer and no listener of the process when it is closed, and can be closed twice',
  ],
  [
    'leaves a listener of the process',
    (good) => ({
      show(approval, note, signal) {
        process.on(`desk-${listener++ % 5}`, () => {})
        return good.show(approval, note, signal)
      },
    }),
    'it leaves no timer and no listener of the process when it is closed, and can be closed twice',
  ],
  [
    'can not be closed twice',
    () => {
      let closed = false
      return {
        close() {
          if (closed) throw new Error('closed already')
          closed = true
        },
      }
    },
    'it leaves no timer and no listener of the process when it is closed, and can be closed twice',
  ],
  ['says nothing to a haldir', DEAF, 'a call runs after a yes, once, and people see what has become of it'],
  ['says yes to a haldir', YES, 'a call does not run after a no'],
  [
    'knows its cards by heart',
    (good) => {
      const mine = new Set<string>()
      return {
        async show(approval, note, signal) {
          if (approval.state === 'pending') mine.add(approval.id)
          return mine.has(approval.id) ? good.show(approval, note, signal) : note
        },
      }
    },
    'what a process that is gone has asked, another one ends',
  ],
  [
    'leaves a question when its session is revoked',
    silentOf('withdrawn'),
    'a call whose session is revoked meanwhile does not run, whatever people still say; they are told',
  ],
  [
    'leaves a question when its time is over',
    silentOf('expired'),
    'a call waits no longer than people have time; they are told',
  ],
  [
    'tells a haldir that people were asked, when nobody was',
    (good) => ({ show: (approval, note, signal) => good.show(approval, note, signal).catch(() => undefined) }),
    'a call that nobody could be told of at first is told later, and decided in time',
  ],
]

let newest = ''

function bound(port: ApproverPort): Omit<ApproverPort, 'say'> {
  const { clock, random } = port
  return { get: port.get.bind(port), note: port.note.bind(port), reject: port.reject.bind(port), clock, random }
}

/** Hears every click as if it were a new one. */
async function fresh(good: DeskApprover, request: Request): Promise<Response | undefined> {
  if (request.method !== 'POST' || !request.url.endsWith('/desk/click')) return good.fetch(request)
  const given = await request.text()
  const body = JSON.stringify({ ...JSON.parse(given), id: `fresh-${listener++}` })
  const signature = request.headers.get('x-signature') === sign(given) ? sign(body) : ''
  return good.fetch(new Request(request.url, { method: 'POST', body, headers: { 'x-signature': signature } }))
}

describe('an approver that', () => {
  it('keeps every promise passes every case', async () => {
    expect(await run()).toEqual([])
  })

  it.each(BROKEN)('%s is noticed', async (_, broken, caught) => {
    proves('parts-of-your-own')
    try {
      expect(await run(broken, [caught])).toEqual([caught])
    } finally {
      newest = ''
      for (const timer of timers.splice(0)) clearInterval(timer)
      for (let index = 0; index < 5; index++) process.removeAllListeners(`desk-${index}`)
    }
  })
})

it('every case notices at least one of them', () => {
  const caught = new Set(BROKEN.map(([, , title]) => title))
  const all = Object.values(APPROVER_CHAPTERS).flatMap((cases) => cases.map(({ title }) => title))
  expect(all.filter((title) => !caught.has(title))).toEqual([])
})
