import Anthropic from '@anthropic-ai/sdk';
import { jsonSchemaOutputFormat } from '@anthropic-ai/sdk/helpers/json-schema';
import { drive, thrown } from './driver.mjs';

const textOf = (message) => message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');

await drive(({ url, key, model, question, tool, result, schema, image, wrongModel }) => {
  const client = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 });
  const base = { model, max_tokens: 2000 };
  const asked = { ...base, messages: [{ role: 'user', content: question }] };
  const told = (message) => ({ text: textOf(message), model: message.model, output: message.usage.output_tokens });
  const tools = [{ name: tool.name, description: tool.description, input_schema: tool.schema }];

  async function twoTurns(answer) {
    const messages = [{ role: 'user', content: `Use the tool ${tool.name}, please.` }];
    const first = await answer({ ...base, tools, messages });
    const call = first.content.find((block) => block.type === 'tool_use');
    messages.push({ role: 'assistant', content: first.content });
    messages.push({ role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: result }] });
    const second = await answer({ ...base, tools, messages });
    return { name: call.name, arguments: call.input, stopped: first.stop_reason === 'tool_use', text: textOf(second) };
  }

  return {
    text: async () => told(await client.messages.create(asked)),
    stream: async () => {
      let pieces = 0;
      const stream = client.messages.stream(asked).on('text', () => pieces++);
      return { ...told(await stream.finalMessage()), pieces };
    },
    tools: () => twoTurns((body) => client.messages.create(body)),
    tools_streamed: () => twoTurns((body) => client.messages.stream(body).finalMessage()),
    structured: async () => {
      const output_config = { format: jsonSchemaOutputFormat(schema) };
      return { value: (await client.messages.parse({ ...asked, output_config })).parsed_output };
    },
    image: async () => {
      const source = { type: 'base64', media_type: 'image/png', data: image };
      const content = [{ type: 'image', source }, { type: 'text', text: question }];
      return told(await client.messages.create({ ...base, messages: [{ role: 'user', content }] }));
    },
    error: () =>
      thrown(() => client.messages.create({ ...asked, model: wrongModel }), [Anthropic.NotFoundError, Anthropic.APIError]),
    unknown_key: () =>
      thrown(
        () => new Anthropic({ baseURL: url, apiKey: 'sk-byts-unknown', maxRetries: 0 }).messages.create(asked),
        [Anthropic.AuthenticationError, Anthropic.APIError],
      ),
  };
});
