/**
 * What Slack takes of blocks and views: the limits that its reference writes down, and one that it does not, on all
 * blocks of a message together.
 * @see https://docs.slack.dev/reference/block-kit/blocks
 */

export type Json = Readonly<Record<string, unknown>>

const ALL_BLOCKS = 13_200
const URL_MOST = 3_000

/** Slack's word for what is wrong with the blocks of a message, if anything is. */
export function wrongBlocks(blocks: unknown): string | undefined {
  if (!areBlocks(blocks, 50)) return 'invalid_blocks'
  return JSON.stringify(blocks).length > ALL_BLOCKS ? 'msg_blocks_too_long' : undefined
}

/** Slack's word for what is wrong with a view, if anything is. */
export function wrongView(view: unknown): string | undefined {
  const {
    type,
    title,
    submit,
    close,
    callback_id: callback = '',
    private_metadata: about = '',
    blocks,
  } = objectOf(view)
  const sound =
    type === 'modal' &&
    isPlain(title, 24) &&
    (submit === undefined || isPlain(submit, 24)) &&
    (close === undefined || isPlain(close, 24)) &&
    isText(callback, 0, 255) &&
    isText(about, 0, 3_000) &&
    areBlocks(blocks, 100)
  return sound ? undefined : 'invalid_arguments'
}

function areBlocks(blocks: unknown, most: number): boolean {
  if (!Array.isArray(blocks) || blocks.length > most) return false
  const ids = blocks.map((block) => objectOf(block).block_id).filter((id) => id !== undefined)
  return new Set(ids).size === ids.length && ids.every((id) => isText(id, 1, 255)) && blocks.every(isBlock)
}

function isBlock(block: unknown): boolean {
  const { type, text, fields, elements, label, element } = objectOf(block)
  switch (type) {
    // Taken as they are.
    case 'divider':
    case 'image':
    case 'rich_text':
      return true
    case 'header':
      return isPlain(text, 150)
    case 'section':
      return (
        (text === undefined ? fields !== undefined : isTextObject(text, 3_000)) &&
        (fields === undefined || isList(fields, 10, (field) => isTextObject(field, 2_000)))
      )
    case 'context':
      return isList(elements, 10, (one) => isTextObject(one, 3_000))
    case 'actions':
      return isList(elements, 25, isButton) && areUnique(elements as readonly unknown[])
    case 'input':
      return isPlain(label, 2_000) && isInput(element)
    default:
      return false
  }
}

function isButton(value: unknown): boolean {
  const { type, text, action_id: action, value: about, url, style, confirm } = objectOf(value)
  return (
    type === 'button' &&
    isPlain(text, 75) &&
    isText(action, 1, 255) &&
    (about === undefined || isText(about, 1, 2_000)) &&
    (url === undefined || (isText(url, 1, URL_MOST) && URL.canParse(url as string))) &&
    (style === undefined || style === 'primary' || style === 'danger') &&
    (confirm === undefined || isConfirm(confirm))
  )
}

function isConfirm(value: unknown): boolean {
  const { title, text, confirm, deny } = objectOf(value)
  return isPlain(title, 100) && isTextObject(text, 300) && isPlain(confirm, 30) && isPlain(deny, 30)
}

function isInput(value: unknown): boolean {
  const { type, action_id: action, max_length: most = 3_000 } = objectOf(value)
  return type === 'plain_text_input' && isText(action, 1, 255) && typeof most === 'number' && most >= 1 && most <= 3_000
}

function areUnique(elements: readonly unknown[]): boolean {
  return new Set(elements.map((one) => objectOf(one).action_id)).size === elements.length
}

function isTextObject(value: unknown, most: number): boolean {
  const { type, text } = objectOf(value)
  return (type === 'mrkdwn' || type === 'plain_text') && isText(text, 1, most)
}

function isPlain(value: unknown, most: number): boolean {
  return objectOf(value).type === 'plain_text' && isTextObject(value, most)
}

function isText(value: unknown, least: number, most: number): boolean {
  return typeof value === 'string' && value.length >= least && value.length <= most
}

function isList(value: unknown, most: number, holds: (one: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length >= 1 && value.length <= most && value.every(holds)
}

export function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {}
}
