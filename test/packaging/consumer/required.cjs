/** `node required.cjs <subpath…>`: tells the story with required modules, after requiring every subpath. */

const { story } = require('./story.cjs')

for (const subpath of process.argv.slice(2)) {
  if (Object.keys(require(subpath)).length === 0) throw new Error(`there is nothing in ${subpath}`)
}
const modules = {
  core: require('@haldir/core'),
  aiSdk: require('@haldir/ai-sdk'),
  ai: require('ai'),
  file: require('@haldir/core/sinks/file'),
  sqlite: require('@haldir/core/stores/sqlite'),
  verify: require('@haldir/core/verify'),
}
story(modules).then((lines) => {
  for (const line of lines) console.log(line)
})
