"""What the simulator says, in no dialect: a small request in, a row of pieces out.

No chance and no clock: the answer follows from the seed, the prompt and the directives.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSON
from bytespike.providers.simulator import tokens
from bytespike.providers.simulator.agent import Speak, next_move
from bytespike.providers.simulator.directives import FLAG, Directives
from bytespike.providers.simulator.prompt import Document, Prompt, Tool
from bytespike.providers.simulator.schema_values import Dice, value_for

DIGEST_BYTES = 16
QUOTE_CHARS_MAX = 400
RESULT_CHARS_MAX = 2000
IMAGES_NAMED_MAX = 16

INTRODUCTION = "This is the simulator, not a real model."
REFUSAL = "The simulator was asked to refuse, so it refuses."
FILLER = (
    "This text was made by the simulator and means nothing. It fills an answer of a given length, word by word, so that "
    "streams, limits and bills can be tried out at any size. "
)
_ASKS_FOR_A_TOOL = re.compile(
    r"\b(?:use|call|run|invoke)\s+(?:the|a|an|your|this|that|these|those)\s+tools?\b", re.I
)
_PARALLEL = re.compile(r"\bparallel\b", re.I)
_SEARCH = re.compile(r"\bsearch\b", re.I)


# --- the answer ------------------------------------------------------------------------------------------------


class Quote(Struct, frozen=True):
    """A citation: of a web page, or of characters `start` to `end` of document number `document`; both are 0 where the
    document is no text and has only pages."""

    cited_text: str
    url: str = ""
    title: str | None = None
    document: int | None = None
    start: int = 0
    end: int = 0


class Thought(Struct, frozen=True):
    text: str
    redacted: bool = False


class Say(Struct, frozen=True):
    text: str
    quotes: tuple[Quote, ...] = ()


class ToolCall(Struct, frozen=True):
    """`arguments` is JSON text, or plain text for a free-form tool. `key` makes the call's id."""

    name: str
    arguments: str
    key: str
    free_form: bool = False
    namespace: str = ""


class Hit(Struct, frozen=True):
    url: str
    title: str


class Search(Struct, frozen=True):
    query: str
    hits: tuple[Hit, ...]
    key: str


class Refuse(Struct, frozen=True):
    text: str


Piece: TypeAlias = Thought | Say | ToolCall | Search | Refuse
Stop: TypeAlias = Literal["end", "length", "stop_sequence", "tool", "refusal"]


class Answer(Struct, frozen=True):
    """`output_tokens` contain `thinking_tokens`. `digest` names the answer: ids and proofs are made from it."""

    digest: bytes
    pieces: tuple[Piece, ...]
    stop: Stop
    stop_sequence: str | None
    output_tokens: int
    thinking_tokens: int
    searches: int


def answer(prompt: Prompt, sim: Directives, seed: bytes, choice: int = 0) -> Answer:
    """The answer to `prompt`; `choice` numbers the answers where several were asked for."""
    digest = _digest(prompt, seed, choice)
    pieces, stop = _compose(prompt, sim, digest, choice)
    pieces, stop, sequence = _honour_stops(pieces, stop, prompt.stops)
    pieces, stop_by_length = _honour_limit(pieces, prompt.max_tokens)
    if stop_by_length:
        stop, sequence = "length", None
    thinking = sum(cost(piece) for piece in pieces if isinstance(piece, Thought))
    return Answer(
        digest=digest,
        pieces=tuple(pieces),
        stop=stop,
        stop_sequence=sequence,
        output_tokens=sum(cost(piece) for piece in pieces),
        thinking_tokens=thinking,
        searches=sum(isinstance(piece, Search) for piece in pieces),
    )


def cost(piece: Piece) -> int:
    """Output tokens of a piece."""
    match piece:
        case Thought(text=text) | Say(text=text) | Refuse(text=text):
            return tokens.count(text)
        case ToolCall(name=name, arguments=arguments):
            return tokens.count(name) + tokens.count(arguments)
        case Search(query=query):
            return tokens.count(query)


def _digest(prompt: Prompt, seed: bytes, choice: int) -> bytes:
    said = f"{prompt.model}\0{prompt.turns}\0{prompt.input_tokens}\0{choice}\0{prompt.text}"
    key = hashlib.blake2b(seed, digest_size=32).digest()
    return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), key=key, digest_size=DIGEST_BYTES).digest()


# --- composing -------------------------------------------------------------------------------------------------


def _compose(prompt: Prompt, sim: Directives, digest: bytes, choice: int) -> tuple[list[Piece], Stop]:
    pieces: list[Piece] = []
    if prompt.thinks or sim.thinking is not None:
        pieces.append(Thought(_thought(prompt, sim)))
    if sim.redacted:
        pieces.append(Thought("Thoughts of the simulator that are not shown.", redacted=True))
    if sim.refusal is not None:
        pieces.append(Refuse(REFUSAL if sim.refusal == FLAG else sim.refusal))
        return pieces, "refusal"
    move = next_move(prompt) if sim.tool is None else None
    if move is not None:
        if isinstance(move, Speak):
            pieces.append(Say(move.text if sim.text is None else sim.text))
            return pieces, "end"
        if sim.text is not None:
            pieces.append(Say(sim.text))
        pieces.append(_called(move.tool, move.arguments, digest, 0))
        return pieces, "tool"
    called = _tools_to_call(prompt, sim)
    if called:
        if sim.text is not None:
            pieces.append(Say(sim.text))
        dice = Dice(digest)
        pieces.extend(_call(tool, sim, dice, digest, nth) for nth, tool in enumerate(called))
        return pieces, "tool"
    if _searches(prompt, sim):
        pieces.extend(_search(prompt, sim, digest))
    elif sim.citations or any(document.cite for document in prompt.documents):
        pieces.extend(_cite(prompt.documents))
    else:
        pieces.append(Say(_words(prompt, sim, digest, choice)))
    return pieces, "end"


def _thought(prompt: Prompt, sim: Directives) -> str:
    if sim.thinking is not None:
        return "The simulator thinks." if sim.thinking == FLAG else sim.thinking
    about = f' "{prompt.text[:QUOTE_CHARS_MAX]}"' if prompt.text else " nothing in particular"
    text = f"The simulator thinks about:{about}. It has {len(prompt.tools)} tools and will answer now."
    return text if prompt.thinking_budget is None else tokens.cut(text, prompt.thinking_budget)


def _tools_to_call(prompt: Prompt, sim: Directives) -> list[Tool]:
    if sim.tool is not None:
        wanted = [next((tool for tool in prompt.tools if tool.name == sim.tool), Tool(sim.tool))]
    elif not prompt.tools or (prompt.results and not prompt.forced):
        return []
    else:
        wanted = [tool for tool in prompt.tools if _names(prompt.text, tool.name)]
        if not wanted and (prompt.forced or sim.calls or _ASKS_FOR_A_TOOL.search(prompt.text)):
            wanted = list(prompt.tools)
    if not wanted:
        return []
    several = 2 if _PARALLEL.search(prompt.text) else 1
    number = sim.calls or several
    if not prompt.parallel:
        number = 1
    return [wanted[nth % len(wanted)] for nth in range(number)]


def _names(text: str, tool: str) -> bool:
    return tool in text and re.search(rf"(?<![\w-]){re.escape(tool)}(?![\w-])", text) is not None


def _call(tool: Tool, sim: Directives, dice: Dice, digest: bytes, nth: int) -> ToolCall:
    if sim.args is not None:
        arguments = sim.args
    elif tool.free_form:
        arguments = f"input of the simulator for {tool.name}"
    else:
        made: JSON = value_for(tool.schema, dice) if tool.schema else {}
        arguments = _compact(made if isinstance(made, dict) else {})
    return _called(tool, arguments, digest, nth)


def _called(tool: Tool, arguments: str, digest: bytes, nth: int) -> ToolCall:
    key = f"{digest.hex()[:20]}{nth:02d}"
    return ToolCall(tool.name, arguments, key, tool.free_form, tool.namespace)


def _searches(prompt: Prompt, sim: Directives) -> bool:
    if sim.web_search or prompt.search == "always":
        return True
    if sim.citations and not prompt.documents:
        return True
    return prompt.search == "offered" and not prompt.results and _SEARCH.search(prompt.text) is not None


def _search(prompt: Prompt, sim: Directives, digest: bytes) -> list[Piece]:
    query = prompt.text[:QUOTE_CHARS_MAX] or "simulator"
    hits = tuple(
        Hit(f"https://simulator.example.com/{digest.hex()[:8]}/{number}", f"Simulated page {number}")
        for number in (1, 2)
    )
    quote = Quote("What the simulated page says.", url=hits[0].url, title=hits[0].title)
    lead = sim.text if sim.text is not None else "The simulator searched the web: "
    return [
        Search(query, hits, digest.hex()[:22]),
        Say(lead),
        Say("its page has an answer", (quote,)),
        Say("."),
    ]


def _cite(documents: tuple[Document, ...]) -> list[Piece]:
    number, document = next(
        ((at, document) for at, document in enumerate(documents) if document.cite), (0, documents[0])
    )
    cited = document.text[:QUOTE_CHARS_MAX]
    quote = Quote(cited or "a page of it", title=document.title, document=number, start=0, end=len(cited))
    return [Say("The simulator read the document: "), Say("it begins as quoted", (quote,)), Say(".")]


def _words(prompt: Prompt, sim: Directives, digest: bytes, choice: int) -> str:
    if sim.text is not None:
        return sim.text
    if sim.tokens is not None:
        size = sim.tokens * tokens.BYTES_PER_TOKEN
        return (FILLER * (size // len(FILLER) + 1))[:size]
    if prompt.schema is not None:
        return _compact(value_for(prompt.schema, Dice(digest)))
    if prompt.json_object:
        return _compact({"simulator": True, "you_said": prompt.text[:QUOTE_CHARS_MAX]})
    parts = [INTRODUCTION]
    for result in prompt.results:
        verb = "failed with" if result.is_error else "gave"
        parts.append(f'The tool {result.name} {verb}: "{result.text[:RESULT_CHARS_MAX]}".')
    if prompt.images:
        parts.append(f"It got {len(prompt.images)} image(s): {', '.join(prompt.images[:IMAGES_NAMED_MAX])}.")
    if prompt.documents:
        parts.append(f"It got {len(prompt.documents)} document(s).")
    if prompt.text and not prompt.results:
        parts.append(f'You said: "{prompt.text[:QUOTE_CHARS_MAX]}".')
    if choice:
        parts.append(f"(Answer {choice + 1}.)")
    return " ".join(parts)


def _compact(value: JSON) -> str:
    return msgspec.json.encode(value).decode()


# --- limits ----------------------------------------------------------------------------------------------------


def _honour_stops(
    pieces: list[Piece], stop: Stop, sequences: tuple[str, ...]
) -> tuple[list[Piece], Stop, str | None]:
    """Cut the first text in which a stop sequence stands just before it."""
    if not sequences:
        return pieces, stop, None
    for index, piece in enumerate(pieces):
        if not isinstance(piece, Say):
            continue
        found = [
            (at, sequence) for sequence in sequences if sequence and (at := piece.text.find(sequence)) >= 0
        ]
        if found:
            at, sequence = min(found, key=lambda pair: pair[0])
            return [*pieces[:index], Say(piece.text[:at], piece.quotes)], "stop_sequence", sequence
    return pieces, stop, None


def _honour_limit(pieces: list[Piece], limit: int | None) -> tuple[list[Piece], bool]:
    """Cut where the output reaches `limit` tokens. True if anything was cut."""
    if limit is None:
        return pieces, False
    kept: list[Piece] = []
    left = limit
    for piece in pieces:
        price = cost(piece)
        if price <= left:
            kept.append(piece)
            left -= price
            continue
        shortened = _shortened(piece, left)
        return ([*kept, shortened] if shortened is not None else kept), True
    return kept, False


def _shortened(piece: Piece, left: int) -> Piece | None:
    if left <= 0:
        return None
    match piece:
        case Thought(redacted=False, text=text):
            return Thought(tokens.cut(text, left))
        case Say(text=text, quotes=quotes):
            return Say(tokens.cut(text, left), quotes)
        case Refuse(text=text):
            return Refuse(tokens.cut(text, left))
        case ToolCall(name=name, arguments=arguments):
            room = left - tokens.count(name)
            if room <= 0:
                return None
            return msgspec.structs.replace(piece, arguments=tokens.cut(arguments, room))
        case _:
            return None
