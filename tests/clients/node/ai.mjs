// The AI SDK, with the provider that is named as the program's argument.
import { APICallError, Output, generateText, jsonSchema, stepCountIs, streamText, tool as toolOf } from 'ai';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { drive, thrown } from './driver.mjs';

// It would write them to standard output.
globalThis.AI_SDK_LOG_WARNINGS = false;

const PROVIDERS = {
  anthropic: (url, apiKey) => createAnthropic({ baseURL: `${url}/v1`, apiKey }),
  google: (url, apiKey) => createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey }),
  openai: (url, apiKey) => createOpenAI({ baseURL: `${url}/v1`, apiKey }),
  'openai-compatible': (url, apiKey) =>
    createOpenAICompatible({
      name: 'gateway',
      baseURL: `${url}/v1`,
      apiKey,
      includeUsage: true,
      supportsStructuredOutputs: true,
    }),
};

await drive(({ url, key, model: name, question, tool, result, schema, image, wrongModel }) => {
  const open = PROVIDERS[process.argv[2]];
  const model = open(url, key)(name);
  const asked = { model, prompt: question, maxRetries: 0 };
  const told = async (answer) => ({
    text: await answer.text,
    model: (await answer.response).modelId,
    output: (await answer.usage).outputTokens,
  });

  const inputSchema = jsonSchema(tool.schema);
  const tools = { [tool.name]: toolOf({ description: tool.description, inputSchema, execute: async () => result }) };
  const twoTurns = { model, maxRetries: 0, tools, stopWhen: stepCountIs(3), prompt: `Use the tool ${tool.name}, please.` };
  async function toldOfTurns(answer) {
    const steps = await answer.steps;
    const [call] = steps[0].toolCalls;
    const stopped = steps[0].finishReason === 'tool-calls';
    return { name: call.toolName, arguments: call.input, stopped, text: await answer.text };
  }

  return {
    text: async () => told(await generateText(asked)),
    stream: async () => {
      let pieces = 0;
      let failure;
      const answer = streamText({ ...asked, onError: ({ error }) => (failure = error) });
      for await (const _ of answer.textStream) pieces++;
      if (failure) throw failure;
      return { ...(await told(answer)), pieces };
    },
    tools: async () => toldOfTurns(await generateText(twoTurns)),
    tools_streamed: async () => {
      let failure;
      const answer = streamText({ ...twoTurns, onError: ({ error }) => (failure = error) });
      await answer.consumeStream();
      if (failure) throw failure;
      return toldOfTurns(answer);
    },
    structured: async () => {
      const output = Output.object({ schema: jsonSchema(schema), name: 'place' });
      return { value: (await generateText({ ...asked, output })).output };
    },
    image: async () => {
      const content = [{ type: 'image', image, mediaType: 'image/png' }, { type: 'text', text: question }];
      return told(await generateText({ model, maxRetries: 0, messages: [{ role: 'user', content }] }));
    },
    error: () =>
      thrown(
        () => generateText({ ...asked, model: open(url, key)(wrongModel) }),
        [APICallError],
        (error) => error.statusCode,
      ),
    unknown_key: () =>
      thrown(
        () => generateText({ ...asked, model: open(url, 'sk-byts-unknown')(name) }),
        [APICallError],
        (error) => error.statusCode,
      ),
  };
});
