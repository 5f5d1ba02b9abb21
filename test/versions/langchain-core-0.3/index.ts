export * as messages from '@langchain/core/messages'
export * as tools from '@langchain/core/tools'
export * as prebuilt from '@langchain/langgraph/prebuilt'
