"""One folder per dialect, sans-IO: bytes in, events out, nothing awaited. Dialects do not import each other.

`core.dialect.Dialect` says what each offers; `protocols.registry` names them all. What more than one dialect does in the same
way stands beside the folders:

- `whole_bodies`       a whole request or answer: decoded, or one error of whoever sent it
- `inline_media`       `data:` URLs, and image types by their first bytes
- `documents_as_text`  documents and search results for a wire without parts for them
- `request_knobs`      settings that are written alike
- `free_form`          free-form tools where a dialect has functions only
- `strict_schemas`     which JSON Schemas OpenAI enforces
- `sealed_text`        other providers' opaque data inside of a dialect's own
- `part_numbers`       the numbers of a streamed answer's parts, bounded
- `token_figures`      figures of usage that are said loosely
- `upstream_errors`    how long to wait, and error bodies that are no JSON
- `openai_errors`, `openai_content`   what Chat Completions and Responses have in common
"""
