/** The pages behind decision links: plain HTML that loads nothing, runs nothing, and can't be framed. */
import { hash } from 'node:crypto'
import { printableLines } from '../printable.ts'
import type { Approval } from './approver.ts'
import { endOf, factsOf, shown } from './facts.ts'

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{color:#555}dd{margin:0;overflow-wrap:anywhere}
pre{background:#f4f4f4;padding:1rem;white-space:pre-wrap;overflow-wrap:anywhere}label{display:block;margin:1rem 0}
input[name=reason]{width:100%;box-sizing:border-box;font:inherit;padding:.4rem}button{font:inherit;padding:.6rem 1.6rem}`

const HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${hash('sha256', STYLE, 'base64')}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
  // The address is the secret.
  'referrer-policy': 'no-referrer',
  'x-robots-tag': 'noindex, nofollow, noarchive',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/** What is asked, whole, and the one button that decides. Asking for this page changes nothing: previews do. */
export function questionPage(approval: Approval, approve: boolean, by: string): Response {
  const { grant } = approval
  const verb = approve ? 'Approve' : 'Deny'
  const while_ = grant ? `Also for the next ${minutesOf(grant.forMs)}: ${alikeOf(grant.args)}` : ''
  const grants =
    approve && grant ? `<label><input type="checkbox" name="grant" value="yes"> ${escaped(while_)}</label>` : ''
  return page(
    200,
    `${verb} this call?`,
    `<dl>${factsOf(approval)
      .map(([label, text]) => `<dt>${label}</dt><dd>${escaped(text)}</dd>`)
      .join('')}</dl>
<h2>Arguments</h2><pre>${escaped(printableLines(approval.argsText))}</pre>
<form method="post"><label>Reason, if you like <input name="reason" maxlength="${MOST_REASON}" autocomplete="off"></label>${grants}
<p>You decide as ${escaped(shown(by))}.</p><button>${verb}</button></form>`,
  )
}

export const MOST_REASON = 500

/** What has become of it. */
export function endPage(status: number, title: string, approval: Approval): Response {
  const { tool, agent } = approval
  return page(
    status,
    title,
    `<p>Of the call of ${escaped(shown(tool))} by ${escaped(shown(agent))}: ${escaped(endOf(approval))}.</p>`,
  )
}

/** A sentence, for what went wrong. */
export function sayPage(status: number, title: string, text: string): Response {
  return page(status, title, `<p>${escaped(text)}</p>`)
}

function page(status: number, title: string, body: string): Response {
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(title)}</title><style>${STYLE}</style>`
  const html = `<!doctype html><html lang="en"><head>${head}</head><body><h1>${escaped(title)}</h1>\n${body}\n</body></html>\n`
  return new Response(html, { status, headers: HEADERS })
}

function alikeOf(args: readonly string[]): string {
  return args.length > 0 ? `calls of this tool with the same ${args.join(', ')}` : 'all calls of this tool'
}

function minutesOf(ms: number): string {
  return ms < 120_000 ? `${Math.ceil(ms / 1_000)} seconds` : `${Math.floor(ms / 60_000)} minutes`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Invariant: no text that anybody else wrote gets into a page but through here. */
function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (one) => ENTITIES[one] as string)
}
