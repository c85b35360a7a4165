"""The simulator: a stand-in provider over real HTTP, which speaks each vendor's dialect on a port of its own.

It makes the first run work without an upstream key, and it is what tests, drills and load tests talk to. It is never
presented as a real model: what it says, says "simulator".

    python -m bytespike.providers.simulator --port 8099 --seed 7 --profile "delay=0.2 pace=0.01"

    from bytespike.providers.simulator.server import Simulator
    async with Simulator(port=0, observe=True) as sim:           # in a test (or `with`, on a thread of its own)
        client = AsyncAnthropic(base_url=sim.base_url + "/anthropic", api_key="any")

What it serves: `/anthropic/v1/messages`, `/anthropic/v1/messages/count_tokens`, `/openai/v1/chat/completions`,
`/openai/v1/responses`, `/gemini/v1beta/models/{model}:generateContent`, `:streamGenerateContent` and `:countTokens` (under
`/v1` too), videos at `/openai/v1/videos`, `/gemini/v1beta/models/{model}:predictLongRunning` and
`/ark/api/v3/contents/generations/tasks`, the models of each, and the same paths without the prefix (`/v1/models` answers an `anthropic-version` header
in Anthropic's shape). Any model name is fine, any non-empty key is accepted but for three: `sim-bad` (401), `sim-poor`
(the vendor's billing error), `sim-limited` (429).

What it says follows from the request alone: a tool call if a tool is forced or named in the text, two if the text says
"parallel"; the tool's result in words after that; JSON that meets the schema if one was given; thinking, signed, if it
was asked for; otherwise a sentence that quotes the question. Same seed and same request, same bytes (the request id in
the headers counts up). Usage is counted by a rule that a test can compute: `tokens.py`.

It is as strict as the vendors: what they refuse with 400, it refuses, in their envelope. With an `anthropic-beta`
header, fields and block types that it does not know are let pass.

**Directives** ask for anything else. They stand in what the user said since the last answer, `[[sim: tool=lookup]]`
(several options, several directives), in a request header, `x-simulator: tokens=200 pace=0.05`, or in the server's
profile; text goes before header, header before profile. A value with spaces is a JSON string in double quotes; `text`,
`thinking`, `refusal`, `args` and `error_text` may also run unquoted to the end of the directive. An unknown option is
refused with 400. `directives.py` has the list with its units, `docs/reference/simulator.md` explains it.

- `directives`    the options, and how they are read
- `prompt`, `brain`   what is asked and what is said, in no dialect
- `agent`, `agent_*`  scripted agents: the steps of a task, as calls of the tools that a client offers
- `schema_values` JSON values from JSON Schemas
- `profile`       how it is delivered: latency, chunking, failures
- `tokens`, `prefix_cache`, `proofs`, `logprobs`   counting, prompt caching, signatures, log probabilities
- `anthropic`, `openai_chat`, `openai_responses`, `gemini`   a dialect each: its answers and streams; `anthropic_*`,
  `openai_*`, `gemini_*` (over `checks` and `proto_json`): what it refuses. `response_store`: what Responses keep.
  Written from the vendors' SDK types, and from nothing in `bytespike.protocols`, so that they are a second opinion on
  the wire
- `pictures`; `films` and `h264`   files: PNG, JPEG, WebP and MP4 that are drawn and filmed here
- `renders`, `rendering`   videos that take a while: how far they are, and what has become of them
- `openai_videos`, `gemini_operations`, `ark_tasks` (over `forms` and `ark_api`)   the APIs in which they are asked for
- `server`, `connection`, `recorder`, `exchange`, `media_routes`   HTTP
"""
