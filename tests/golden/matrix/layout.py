"""How golden files are laid out, so that an eye can read them: JSON, a value on one line where it fits, and streams
without what repeats itself in every frame."""

from __future__ import annotations

import json
from typing import Any

WIDTH = 132
FRAMES = "frames"
_INDENT = "  "


def pretty(value: Any) -> str:
    return "".join(_lines(value, "")) + "\n"


def _lines(value: Any, indent: str, frames: bool = False) -> list[str]:
    """`frames`: of a list of frames each stands on one line, however long."""
    flat = json.dumps(value, ensure_ascii=False)
    fits = bool(indent) and len(indent) + len(flat) <= WIDTH
    if fits or not isinstance(value, dict | list) or not value or (frames and isinstance(value, dict)):
        return [flat]
    inner = indent + _INDENT
    if isinstance(value, dict):
        members = [
            f"{inner}{json.dumps(name, ensure_ascii=False)}: {''.join(_lines(member, inner, name == FRAMES))}"
            for name, member in value.items()
        ]
        return ["{\n", ",\n".join(members), f"\n{indent}}}"]
    entries = [f"{inner}{''.join(_lines(entry, inner, frames))}" for entry in value]
    return ["[\n", ",\n".join(entries), f"\n{indent}]"]


def frames_of(stream: bytes) -> list[Any]:
    """The data of each server-sent event, decoded. A frame that is no JSON ("[DONE]") stays text."""
    found: list[Any] = []
    for block in stream.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = b"".join(line[5:] for line in block.split(b"\n") if line.startswith(b"data:"))
        if data:
            found.append(json.loads(data) if data.strip().startswith(b"{") else data.strip().decode())
    return found


def shown(frames: list[Any], whole: Any, name: str) -> dict[str, Any]:
    """Frames, told shortly: what all of them have is told once ("every"), sequence numbers that count from 0 are left out,
    and a response inside of an event is told by how it differs from the whole answer, which stands under `name`."""
    told = [dict(frame) if isinstance(frame, dict) else frame for frame in frames]
    objects = [frame for frame in told if isinstance(frame, dict)]
    if [frame.get("sequence_number") for frame in objects] == list(range(len(objects))):
        for frame in objects:
            del frame["sequence_number"]
    every: dict[str, Any] = {}
    if len(objects) > 2:
        first = objects[0]
        every = {
            key: value
            for key, value in first.items()
            if key != "type" and all(key in frame and frame[key] == value for frame in objects)
        }
    for frame in objects:
        for key in every:
            del frame[key]
        if isinstance(frame.get("response"), dict) and isinstance(whole, dict):
            frame["response"] = _differing(frame["response"], whole, name)
    return {**({"every": every} if every else {}), FRAMES: told}


def _differing(response: dict[str, Any], whole: dict[str, Any], name: str) -> dict[str, Any]:
    changed = {key: value for key, value in response.items() if key not in whole or whole[key] != value}
    missing = [key for key in whole if key not in response]
    return {
        "as in": name,
        **({"but": changed} if changed else {}),
        **({"without": missing} if missing else {}),
    }


def after(sent: Any, before: Any) -> Any:
    """A later request, told by what it has beyond the one before: equal members are left out, and of lists their equal
    beginning."""
    if isinstance(sent, dict) and isinstance(before, dict):
        return {
            key: after(value, before.get(key))
            for key, value in sent.items()
            if key not in before or before[key] != value
        }
    if isinstance(sent, list) and isinstance(before, list):
        same = 0
        while same < min(len(sent), len(before)) and sent[same] == before[same]:
            same += 1
        return [f"({same} as before)", *sent[same:]] if same else sent
    return sent
