"""The hub's vocabulary: what a conversation with a model is, whatever dialect it was written in.

Everything here is pure data and pure functions: no I/O, no clock, no dialect.

- `content`  the parts of a turn: text, images, documents, reasoning, tool calls and results
- `tools`    tool definitions and tool choice
- `request`  one request for a completion
- `events`   what a stream is made of
- `fold`     events -> response, and back
- `finish`   why a model stopped
- `usage`    disjoint integer buckets of what was consumed
- `renaming` tool names that a target cannot carry
- `mentions` whether a conversation says a word
- `media_urls` images and documents by URL: found, and replaced by their bytes
- `notices`  what translation dropped or approximated
- `losses`   collecting those notices
- `dialect`  the eight operations that a dialect offers
"""
