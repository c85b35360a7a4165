"""The tool calls of one choice of an upstream's stream.

OpenAI names a call once, with its index, id and name, and then adds to its arguments by index. Vendors deviate:

- no index (Mistral), or the same index for every call (Gemini): a new id that comes with a name is a new call;
- an empty or repeated id, a repeated name (Alibaba, Moonshot's hosts): the call goes on;
- neither index nor id: a name after arguments that are complete is a new call;
- whole arguments at once, an object instead of text, null: taken as they are;
- the name after the first piece of the arguments: the call starts when it has a name;
- a call without name and arguments says nothing; one with arguments whose name never comes is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bytespike.core import events as e
from bytespike.core.content import Proof, ToolCallPart
from bytespike.protocols.openai_chat.message_in import google_signature
from bytespike.protocols.openai_chat.names import aside
from bytespike.protocols.openai_chat.reasoning import GEMINI
from bytespike.protocols.openai_chat.schema import FunctionDelta, ToolCallDelta
from bytespike.wire import json
from bytespike.wire.fields import Wrong

#: More parallel calls than this in one message is a hostile or broken upstream.
CALLS_MAX: Final = 256


class _Call:
    __slots__ = ("custom", "id", "legacy", "name", "number", "open", "pieces", "proof")

    def __init__(self, call_id: str, *, custom: bool = False, legacy: bool = False) -> None:
        self.id = call_id
        self.custom = custom
        self.legacy = legacy
        self.name = ""
        self.proof: Proof | None = None
        self.pieces: list[str] = []
        #: The part's number once it has started.
        self.number: int | None = None
        self.open = True

    def complete(self) -> bool:
        """Whether the arguments so far are whole JSON, so that nothing can follow."""
        if self.custom or not self.pieces:
            return False
        try:
            value = json.decode("".join(self.pieces))
        except json.NotJSON:
            return False
        # A bare number is whole at every digit.
        return isinstance(value, bool) or not isinstance(value, int | float)


class CallsReader:
    """Which calls are open. `take`: the next part's number."""

    __slots__ = ("_by_index", "_calls", "_choice", "_last", "_prefix", "_take")

    def __init__(self, choice: int, prefix: str, take: Callable[[], int]) -> None:
        self._choice = choice
        self._prefix = prefix
        self._take = take
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._last: _Call | None = None

    def read(self, delta: ToolCallDelta, events: list[e.Event]) -> None:
        function = delta.function
        custom = delta.custom
        name = (function.name if function is not None else custom.name if custom is not None else None) or ""
        arguments = (
            _text_of(function) if function is not None else (custom.input or "") if custom is not None else ""
        )
        call_id = "" if delta.id is None else str(delta.id)
        call = self._by_index.get(delta.index) if delta.index is not None else self._last
        if call is None or _is_another(call, call_id, name, arguments):
            call = _Call(
                call_id or f"{self._prefix}{len(self._calls)}",
                custom=delta.type == "custom" or (custom is not None and function is None),
            )
            self._add(call, events)
            if delta.index is not None:
                self._by_index[delta.index] = call
        self._last = call
        if delta.extra_content is not None:
            signature = google_signature({"extra_content": delta.extra_content})
            if signature:
                self._sign(call, Proof(GEMINI, signature), events)
        self._append(call, name, arguments, events)

    def read_legacy(self, delta: FunctionDelta, events: list[e.Event]) -> None:
        """The deprecated `function_call`: one for each choice."""
        call = next((call for call in self._calls if call.legacy), None)
        if call is None:
            call = _Call(f"{self._prefix}function", legacy=True)
            self._add(call, events)
        self._append(call, delta.name or "", _text_of(delta), events)

    def close(self, events: list[e.Event]) -> None:
        """End every call. Raises `Wrong` for one whose name has not come: nobody could run it."""
        for call in self._calls:
            if call.number is None and call.pieces:
                raise Wrong("is required", "tool_calls[].function.name")
            self._end(call, events)

    def _add(self, call: _Call, events: list[e.Event]) -> None:
        if len(self._calls) >= CALLS_MAX:
            raise Wrong(f"holds more than {CALLS_MAX} calls", "tool_calls")
        for earlier in self._calls:
            if earlier.open and earlier.number is not None and earlier.complete():
                self._end(earlier, events)
        self._calls.append(call)

    def _append(self, call: _Call, name: str, arguments: str, events: list[e.Event]) -> None:
        if not call.open:
            # Its arguments were complete; whatever is repeated adds nothing.
            return
        if name and not call.name:
            call.name = name
        if arguments:
            call.pieces.append(arguments)
        if call.number is None:
            if call.name:
                self._start(call, events)
        elif arguments:
            events.append(e.InputDelta(call.number, arguments))

    def _start(self, call: _Call, events: list[e.Event]) -> None:
        call.number = self._take()
        part = ToolCallPart(
            call.id,
            call.name,
            "",
            "custom" if call.custom else "function",
            call.proof,
            extras=aside({"_legacy": True} if call.legacy else {}),
        )
        events.append(e.PartStart(call.number, part, self._choice))
        if call.pieces:
            events.append(e.InputDelta(call.number, "".join(call.pieces)))

    def _sign(self, call: _Call, proof: Proof, events: list[e.Event]) -> None:
        if call.number is None:
            call.proof = proof
        elif call.open:
            events.append(e.ProofDelta(call.number, proof))

    def _end(self, call: _Call, events: list[e.Event]) -> None:
        if call.open and call.number is not None:
            call.open = False
            events.append(e.PartEnd(call.number))


def _is_another(call: _Call, call_id: str, name: str, arguments: str) -> bool:
    """Whether a delta that landed on `call` starts another one."""
    if not name:
        return False
    if call_id:
        return call_id != call.id
    return bool(call.name and arguments and call.complete())


def _text_of(function: FunctionDelta) -> str:
    arguments = function.arguments
    if isinstance(arguments, dict):
        return json.encode(arguments).decode()
    return arguments or ""
