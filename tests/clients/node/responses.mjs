import OpenAI from 'openai';
import { ResponsesWS } from 'openai/resources/responses/ws';
import { drive, thrown } from './driver.mjs';

await drive(({ url, key, model, question, tool, result, schema, image, wrongModel }) => {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
  const asked = { model, input: question };
  const told = (answer) => ({ text: answer.output_text, model: answer.model, output: answer.usage.output_tokens });
  const tools = [{ type: 'function', name: tool.name, description: tool.description, parameters: tool.schema, strict: false }];
  const useIt = { role: 'user', content: `Use the tool ${tool.name}, please.` };

  const callOf = (answer) => answer.output.find((item) => item.type === 'function_call');
  const outputOf = (call) => ({ type: 'function_call_output', call_id: call.call_id, output: result });
  // The stream helper adds a member that the API does not take back.
  const sentBack = ({ parsed_arguments, ...item }) => item;
  const spoken = (answer) =>
    answer.output.flatMap((item) => (item.type === 'message' ? item.content : [])).map((part) => part.text).join('');
  const turns = (call, second) => ({
    name: call.name,
    arguments: JSON.parse(call.arguments),
    stopped: true,
    text: spoken(second),
  });

  async function twoTurns(answer) {
    const input = [useIt];
    const first = await answer({ model, tools, input, store: false });
    const call = callOf(first);
    input.push(...first.output.map(sentBack), outputOf(call));
    return turns(call, await answer({ model, tools, input, store: false }));
  }

  async function overSocket(hold) {
    const socket = new ResponsesWS(client);
    // Not `for await`, which would close the socket at the end of the first answer.
    const messages = socket.stream()[Symbol.asyncIterator]();
    let pieces = 0;
    async function answer(body) {
      socket.send({ type: 'response.create', ...body });
      for (;;) {
        const { done, value } = await messages.next();
        if (done || value.type === 'close') throw new Error('the socket closed');
        if (value.type === 'error') throw value.error;
        if (value.type !== 'message') continue;
        const event = value.message;
        if (event.type === 'response.output_text.delta') pieces++;
        if (event.type === 'response.completed') return event.response;
        if (event.type === 'response.failed') throw new Error(JSON.stringify(event));
      }
    }
    try {
      return await hold(answer, () => pieces);
    } finally {
      socket.close();
    }
  }

  return {
    text: async () => told(await client.responses.create(asked)),
    stream: async () => {
      let pieces = 0;
      const stream = client.responses.stream(asked).on('response.output_text.delta', () => pieces++);
      return { ...told(await stream.finalResponse()), pieces };
    },
    tools: () => twoTurns((body) => client.responses.create(body)),
    tools_streamed: () => twoTurns((body) => client.responses.stream(body).finalResponse()),
    stored: async () => {
      const first = await client.responses.create({ model, tools, input: [useIt] });
      const call = callOf(first);
      const input = [outputOf(call)];
      return turns(call, await client.responses.create({ model, tools, input, previous_response_id: first.id }));
    },
    structured: async () => {
      const text = { format: { type: 'json_schema', name: 'place', strict: true, schema } };
      return { value: (await client.responses.parse({ ...asked, text })).output_parsed };
    },
    image: async () => {
      const picture = { type: 'input_image', image_url: `data:image/png;base64,${image}`, detail: 'auto' };
      const content = [picture, { type: 'input_text', text: question }];
      return told(await client.responses.create({ model, input: [{ role: 'user', content }] }));
    },
    socket: () =>
      overSocket(async (answer, pieces) => {
        const response = await answer(asked);
        return { text: spoken(response), model: response.model, output: response.usage.output_tokens, pieces: pieces() };
      }),
    socket_tools: () =>
      overSocket(async (answer) => {
        const first = await answer({ model, tools, input: [useIt], store: false });
        const call = callOf(first);
        const again = { model, tools, input: [outputOf(call)], previous_response_id: first.id, store: false };
        return turns(call, await answer(again));
      }),
    error: () =>
      thrown(() => client.responses.create({ ...asked, model: wrongModel }), [OpenAI.NotFoundError, OpenAI.APIError]),
    unknown_key: () =>
      thrown(
        () => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'sk-byts-unknown', maxRetries: 0 }).responses.create(asked),
        [OpenAI.AuthenticationError, OpenAI.APIError],
      ),
  };
});
