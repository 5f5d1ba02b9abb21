import { describe, expect, it } from 'vitest'
import { refuseForeign } from './frameworks.ts'

const run = () => 'ran'
const schema = { type: 'object', properties: {} }

/** As the frameworks make them. */
const TOOLS: readonly (readonly [package_: string, what: string, tool: unknown])[] = [
  ['@haldir/ai-sdk', 'tool()', { description: 'x', inputSchema: schema, execute: run }],
  ['@haldir/ai-sdk', 'tool() that says its type', { type: 'function', inputSchema: schema, execute: run }],
  ['@haldir/ai-sdk', 'dynamicTool()', { type: 'dynamic', inputSchema: schema, execute: run }],
  [
    '@haldir/ai-sdk',
    'a tool of a provider',
    { type: 'provider', id: 'openai.web_search', args: {}, inputSchema: schema },
  ],
  ['@haldir/langchain', 'tool()', { lc_namespace: ['langchain', 'tools'], name: 'x', schema, invoke: run }],
  ['@haldir/langchain', 'an older tool', { lc_runnable: true, name: 'x', invoke: run }],
  ['@haldir/langchain', 'a tool by its schema', { name: 'x', schema, invoke: run }],
  ['@haldir/openai/agents', 'tool()', { type: 'function', name: 'x', parameters: schema, strict: true, invoke: run }],
  ['@haldir/openai/agents', 'a hosted tool', { type: 'hosted_tool', name: 'web_search' }],
  ['@haldir/openai/agents', 'a tool that the SDK runs', { type: 'shell', name: 'shell', shell: { run } }],
  ['@haldir/openai', 'a runnable function', { type: 'function', function: { name: 'x', function: run, parse: run } }],
  ['@haldir/openai', 'a function of Responses', { type: 'function', name: 'x', parameters: schema, strict: true }],
  ['@haldir/openai', 'a custom tool', { type: 'custom', name: 'x' }],
  ['@haldir/anthropic', 'betaTool()', { type: 'custom', name: 'x', input_schema: schema, run, parse: run }],
  ['@haldir/anthropic', 'a runnable tool', { name: 'x', input_schema: schema, run, parse: run }],
  ['@haldir/anthropic', 'a tool of the server', { name: 'memory', run }],
  ['@haldir/anthropic', 'a bare definition', { type: 'bash_20250124', name: 'bash' }],
  ['@haldir/anthropic', 'tools of an MCP server', { type: 'mcp_toolset', mcp_server_name: 'x' }],
  ['@haldir/core', 'a function', run],
]

describe('a tool of another framework', () => {
  it.each(TOOLS)('is said to belong to %s: %s', (package_, _, tool) => {
    const own = package_ === '@haldir/mastra' ? '@haldir/core' : '@haldir/mastra'
    expect(() => refuseForeign(tool, 'pay', own)).toThrow(
      expect.objectContaining({
        name: 'ConfigError',
        code: 'ungovernable',
        path: 'pay',
        message: expect.stringMatching(
          new RegExp(`^\`pay\` is a tool of .+: it is wrapped with \`governed\` of \`${package_}\`$`),
        ),
      }),
    )
    // Its own package does not send it to itself.
    expect(() => refuseForeign(tool, 'pay', package_)).toThrow(`\`pay\` is not a tool that \`${package_}\` knows`)
  })

  it.each([[undefined], [null], ['text'], [7], [{}], [[]], [new Map()], [Object.create(null)], [{ execute: run }]])(
    'is not guessed of what is none: %o',
    (value) => {
      expect(() => refuseForeign(value, 'pay', '@haldir/ai-sdk')).toThrow(
        '`pay` is not a tool that `@haldir/ai-sdk` knows',
      )
    },
  )
})
