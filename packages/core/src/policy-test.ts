/**
 * Runs tables of policy tests: `node node_modules/@haldir/core/dist/policy-test.js orders.policy.test.yaml …`. Prints a
 * report for each file. Exit code 0: all as expected; 1: some not, or a file could not be read; 2: wrong arguments.
 */
import { ConfigError } from './errors.ts'
import { testPolicyFile } from './policy-files.ts'

const USAGE = 'usage: policy-test file.yaml ...\n'

async function runFile(file: string): Promise<boolean> {
  try {
    const report = await testPolicyFile(file)
    process.stdout.write(`${file}: ${report}\n`)
    return report.ok
  } catch (error) {
    if (!ConfigError.isInstance(error)) throw error
    process.stdout.write(`${file}: ${error.message}\n`)
    return false
  }
}

const files = process.argv.slice(2)
if (files.includes('--help') || files.includes('-h')) {
  process.stdout.write(USAGE)
} else if (files.length === 0 || files.some((file) => file.startsWith('-'))) {
  process.stderr.write(USAGE)
  process.exitCode = 2
} else {
  for (const file of files) if (!(await runFile(file))) process.exitCode = 1
}
