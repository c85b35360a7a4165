import OpenAI from 'openai';
import { drive, thrown } from './driver.mjs';

await drive(({ url, key, model, question, tool, result, schema, image, wrongModel }) => {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
  const chat = client.chat.completions;
  const asked = { model, messages: [{ role: 'user', content: question }] };
  const told = (answer) => ({
    text: answer.choices[0].message.content,
    model: answer.model,
    output: answer.usage.completion_tokens,
  });
  const { name, description, schema: parameters } = tool;
  const tools = [{ type: 'function', function: { name, description, parameters } }];

  async function twoTurns(answer) {
    const messages = [{ role: 'user', content: `Use the tool ${tool.name}, please.` }];
    const first = (await answer({ model, tools, messages })).choices[0];
    const call = first.message.tool_calls[0];
    messages.push(first.message, { role: 'tool', tool_call_id: call.id, content: result });
    const second = await answer({ model, tools, messages });
    return {
      name: call.function.name,
      arguments: JSON.parse(call.function.arguments),
      stopped: first.finish_reason === 'tool_calls',
      text: second.choices[0].message.content,
    };
  }

  return {
    text: async () => told(await chat.create(asked)),
    stream: async () => {
      let pieces = 0;
      const stream = chat.stream({ ...asked, stream_options: { include_usage: true } }).on('content', () => pieces++);
      return { ...told(await stream.finalChatCompletion()), pieces };
    },
    tools: () => twoTurns((body) => chat.create(body)),
    tools_streamed: () => twoTurns((body) => chat.stream(body).finalChatCompletion()),
    structured: async () => {
      const response_format = { type: 'json_schema', json_schema: { name: 'place', strict: true, schema } };
      return { value: JSON.parse((await chat.parse({ ...asked, response_format })).choices[0].message.content) };
    },
    image: async () => {
      const image_url = { url: `data:image/png;base64,${image}` };
      const content = [{ type: 'image_url', image_url }, { type: 'text', text: question }];
      return told(await chat.create({ model, messages: [{ role: 'user', content }] }));
    },
    error: () => thrown(() => chat.create({ ...asked, model: wrongModel }), [OpenAI.NotFoundError, OpenAI.APIError]),
    unknown_key: () =>
      thrown(
        () => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'sk-byts-unknown', maxRetries: 0 }).chat.completions.create(asked),
        [OpenAI.AuthenticationError, OpenAI.APIError],
      ),
  };
});
