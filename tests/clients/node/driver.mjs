// A driver is a program that reads a job from standard input, holds the conversations that it is asked for with one
// SDK and every model of the job, and writes what came of them to standard output: JSON in, JSON out.
//
// The job: {url, key, models, question, tool: {name, description, schema}, result, schema, image, wrongModel}. Out comes
// {model: {conversation: …}}. What a conversation gives is of its own kind (see test_node_sdks.py); one that fails gives
// {failed: stack}.

export async function drive(conversationsOf) {
  let input = '';
  for await (const piece of process.stdin) input += piece;
  const { models, ...job } = JSON.parse(input);
  const told = {};
  for (const model of models) {
    told[model] = {};
    for (const [name, hold] of Object.entries(conversationsOf({ ...job, model }))) {
      try {
        told[model][name] = await hold();
      } catch (error) {
        told[model][name] = { failed: String(error?.stack ?? error) };
      }
    }
  }
  process.stdout.write(JSON.stringify(told), () => process.exit(0));
}

// What an SDK throws for an answer that is an error. `kinds`: the SDK's classes, the most special first.
export async function thrown(ask, kinds, statusOf = (error) => error.status) {
  try {
    await ask();
  } catch (error) {
    const kind = kinds.find((one) => error instanceof one);
    return { kind: kind?.name ?? `not the SDK's: ${error?.name}`, status: statusOf(error), message: String(error.message) };
  }
  return { kind: 'nothing was thrown' };
}
