/** Credentials of many services, made when the tests run: this repository itself holds none that a scanner would flag. */
import { generateKeyPairSync } from 'node:crypto'

const letters = (count: number) => 'aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0z'.repeat(8).slice(0, count)
const upper = (count: number) => letters(count).toUpperCase()
const hex = (count: number) => '0f1e2d3c4b5a69788796a5b4c3d2e1f0'.repeat(4).slice(0, count)
const pem = (format: 'pkcs8' | 'pkcs1') =>
  generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: format, format: 'pem' }).toString()

export const AWS_SECRET: string = `${letters(38)}/Z`

/** By kind: a text with a credential in it, and the part of it that must not be left. */
export const TOKENS: readonly (readonly [kind: string, text: string, secret: string])[] = [
  ['aws', `AKI${'A'}${upper(16)}`],
  ['aws', `aws_secret_access_key = ${AWS_SECRET}`, AWS_SECRET],
  ['github', `gh${'p'}_${letters(36)}`],
  ['github', `github${'_pat'}_${letters(82)}`],
  ['slack', `xox${'b'}-123456789012-1234567890123-${letters(24)}`],
  ['slack', `https://hooks.slack${'.com'}/services/T${upper(8)}/B${upper(8)}/${letters(24)}`],
  ['npm', `np${'m'}_${letters(36)}`],
  ['privatekey', pem('pkcs8')],
  ['privatekey', pem('pkcs1')],
  ['openai', `sk${'-proj'}-${letters(74)}T3Blbk${'FJ'}${letters(74)}`],
  ['anthropic', `sk${'-ant'}-api03-${letters(93)}AA`],
  ['stripe', `sk${'_live'}_${letters(32)}`],
  ['gitlab', `glp${'at'}-${letters(20)}`],
  ['sendgrid', `S${'G'}.${letters(22)}.${letters(43)}`],
  ['huggingface', `h${'f'}_${letters(60).replace(/\d/g, '')}`.slice(0, 37)],
  ['databricks', `dap${'i'}${hex(32)}`],
  ['basicauth', `https://deploy:${letters(20)}@registry.example.com`, letters(20)],
  ['database-connection-string', `postgres://app:${letters(24)}@db.internal:5432/orders`, letters(24)],
].map(([kind = '', text = '', secret = text]) => [kind, text, secret] as const)
