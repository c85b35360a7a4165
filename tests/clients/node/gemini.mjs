import { ApiError, GoogleGenAI } from '@google/genai';
import { drive, thrown } from './driver.mjs';

await drive(({ url, key, model, question, tool, result, schema, image, wrongModel }) => {
  const open = (apiKey) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: url } }).models;
  const models = open(key);
  const asked = { model, contents: question };
  const told = (answer) => ({
    text: answer.text,
    model: answer.modelVersion,
    output: answer.usageMetadata.candidatesTokenCount,
  });
  const functionDeclarations = [
    { name: tool.name, description: tool.description, parametersJsonSchema: tool.schema },
  ];
  const config = { tools: [{ functionDeclarations }] };

  // The parts of a streamed answer, put together as chat helpers do.
  async function streamed(body) {
    const parts = [];
    let last;
    for await (const piece of await models.generateContentStream(body)) {
      parts.push(...(piece.candidates?.[0]?.content?.parts ?? []));
      last = piece;
    }
    const text = parts.filter((part) => part.text && !part.thought).map((part) => part.text).join('');
    return { parts, text, last, pieces: parts.filter((part) => part.text).length };
  }

  async function twoTurns(answer) {
    const contents = [{ role: 'user', parts: [{ text: `Use the tool ${tool.name}, please.` }] }];
    const first = await answer({ model, config, contents });
    const call = first.parts.find((part) => part.functionCall).functionCall;
    const functionResponse = { id: call.id, name: call.name, response: { output: result } };
    contents.push({ role: 'model', parts: first.parts }, { role: 'user', parts: [{ functionResponse }] });
    const second = await answer({ model, config, contents });
    return { name: call.name, arguments: call.args, stopped: true, text: second.text };
  }

  return {
    text: async () => told(await models.generateContent(asked)),
    stream: async () => {
      const { text, last, pieces } = await streamed(asked);
      return { ...told(last), text, pieces };
    },
    tools: () =>
      twoTurns(async (body) => {
        const answer = await models.generateContent(body);
        const parts = answer.candidates[0].content.parts;
        return { parts, text: parts.filter((part) => part.text && !part.thought).map((part) => part.text).join('') };
      }),
    tools_streamed: () => twoTurns(streamed),
    structured: async () => {
      const wanted = { responseMimeType: 'application/json', responseJsonSchema: schema };
      return { value: JSON.parse((await models.generateContent({ ...asked, config: wanted })).text) };
    },
    image: async () => {
      const inlineData = { mimeType: 'image/png', data: image };
      return told(await models.generateContent({ model, contents: [{ inlineData }, question] }));
    },
    error: () => thrown(() => models.generateContent({ ...asked, model: wrongModel }), [ApiError]),
    unknown_key: () => thrown(() => open('sk-byts-unknown').generateContent(asked), [ApiError]),
  };
});
