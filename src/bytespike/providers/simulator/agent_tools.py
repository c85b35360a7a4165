"""Which of the tools that a client offers can do a step, and with which arguments.

Tools are known by the names that the common command-line clients give them, and otherwise by the names of their
parameters: a tool with a `command` runs commands, one with a path and a content writes files. A file is written by a
tool for files, else by a patch, else by a command; read and edited likewise, but that a command edits before a patch.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator.agent_steps import Step
from bytespike.providers.simulator.prompt import Line, Tool
from bytespike.providers.simulator.schema_values import Dice, value_for

TIMEOUT_MS = 60_000
ABOUT = "A step of the simulator's script"

_RUNNERS = (
    "bash", "shell", "exec_command", "shell_command", "local_shell", "run_shell_command", "run_command",
    "execute_command", "run_terminal_cmd", "run_terminal_command", "execute_bash",
)  # fmt: skip
_WRITERS = ("write", "write_file", "create_file", "write_to_file", "create_new_file", "save_file")
_EDITORS = ("edit", "edit_file", "replace", "str_replace", "edit_existing_file", "replace_in_file")
_READERS = ("read", "read_file", "view", "view_file", "cat")
#: Anthropic's own text editor, whose parameters depend on its `command`.
_TEXT_EDITORS = ("str_replace_based_edit_tool", "str_replace_editor")
_PATCHERS = ("apply_patch",)

_COMMAND = ("command", "cmd", "commands", "command_line", "script")
_PATH = (
    "file_path", "filePath", "absolute_path", "path", "filepath", "target_file", "filename", "file_name", "file",
)  # fmt: skip
_CONTENT = ("content", "contents", "file_text", "text", "data", "new_content", "code")
_OLD = ("old_string", "oldString", "old_str", "old_text", "oldText", "search")
_NEW = ("new_string", "newString", "new_str", "new_text", "newText", "replace")
_PATCH = ("input", "patch", "patch_text", "patchText", "diff")

_DIRECTORIES = (
    re.compile(r"<cwd>\s*(/[^<\n]+?)\s*</cwd>"),
    re.compile(r"[Ww]orking [Dd]irectory:?\**:?\s+`?(/[^\s`<]+)"),
    re.compile(r"working in the directory:\s+(/\S+)"),
    re.compile(r"Workspace Directories:\**\s+-\s+(/\S+)"),
    re.compile(r"Working Directory \((/[^)\n]+)\)"),
)


class Fitted(Struct, frozen=True):
    """A tool, and the input to call it with: JSON, or plain text for a free-form tool."""

    tool: Tool
    arguments: str


def fit(step: Step, tools: Sequence[Tool], history: Sequence[Line]) -> Fitted | None:
    """The call that does `step`; None where no tool can."""
    if step.verb == "call":
        called = next((tool for tool in tools if tool.name == step.target), None)
        return Fitted(called, step.text) if called is not None else None
    ready = [tool for tool in tools if not tool.deferred]
    directory = _directory(history)
    for way in _WAYS[step.verb]:
        found = way(step, ready, directory)
        if found is not None:
            return found
    return None


def _directory(history: Sequence[Line]) -> str:
    """Where the client works, as far as its own words tell; "" where they do not."""
    for line in history:
        if line.speaker in ("system", "user"):
            for pattern in _DIRECTORIES:
                found = pattern.search(line.text)
                if found is not None:
                    return found.group(1)
    return ""


# --- ways to do a step -----------------------------------------------------------------------------------------

_Way = Callable[[Step, Sequence[Tool], str], Fitted | None]


def _by_command(command: str, tools: Sequence[Tool], directory: str) -> Fitted | None:
    for tool in _named(tools, _RUNNERS):
        name = _has(tool, _COMMAND)
        if name is None or any(path in _required(tool) for path in _PATH):
            continue
        kind = _property(tool, name).get("type")
        listed = kind == "array" or (isinstance(kind, list) and "array" in kind)
        value: JSON = ["bash", "-lc", command] if listed else command
        return _filled(tool, {name: value}, directory)
    return None


def _run(step: Step, tools: Sequence[Tool], directory: str) -> Fitted | None:
    return _by_command(step.target, tools, directory)


def _write_by_command(step: Step, tools: Sequence[Tool], directory: str) -> Fitted | None:
    return _by_command(f"printf %s {shlex.quote(step.text)} > {shlex.quote(step.target)}", tools, directory)


def _read_by_command(step: Step, tools: Sequence[Tool], directory: str) -> Fitted | None:
    return _by_command(f"cat {shlex.quote(step.target)}", tools, directory)


def _edit_by_command(step: Step, tools: Sequence[Tool], directory: str) -> Fitted | None:
    script = (
        f"from pathlib import Path; p = Path({step.target!r}); "
        f"p.write_text(p.read_text().replace({step.old!r}, {step.text!r}, 1))"
    )
    return _by_command(f"python3 -c {shlex.quote(script)}", tools, directory)


def _write(step: Step, tools: Sequence[Tool], directory: str) -> Fitted | None:
    return _by_roles(tools, _WRITERS, ((_PATH, step.target), (_CONTENT, step.text)), directory, without=_OLD)


def _edit(step: Step, tools: Sequence[Tool], directory: str) -> Fitted | None:
    roles = ((_PATH, step.target), (_OLD, step.old or ""), (_NEW, step.text))
    return _by_roles(tools, _EDITORS, roles, directory)


def _read(step: Step, tools: Sequence[Tool], directory: str) -> Fitted | None:
    named = [tool for tool in tools if _plain_name(tool) in _READERS or "read" in _plain_name(tool)]
    without = (*_CONTENT, *_OLD, *_COMMAND)
    return _by_roles(named, _READERS, ((_PATH, step.target),), directory, without=without)


def _by_text_editor(step: Step, tools: Sequence[Tool], directory: str) -> Fitted | None:
    tool = next((tool for tool in tools if _plain_name(tool) in _TEXT_EDITORS), None)
    if tool is None:
        return None
    path = f"{directory.rstrip('/')}/{step.target}" if directory and step.target[:1] != "/" else step.target
    match step.verb:
        case "write":
            given: JSONObject = {"command": "create", "path": path, "file_text": step.text}
        case "edit":
            given = {"command": "str_replace", "path": path, "old_str": step.old, "new_str": step.text}
        case _:
            given = {"command": "view", "path": path}
    return Fitted(tool, _compact(given))


def _by_patch(step: Step, tools: Sequence[Tool], directory: str) -> Fitted | None:
    if step.old is None:
        body = f"*** Add File: {step.target}\n{_marked('+', step.text)}"
    else:
        body = f"*** Update File: {step.target}\n@@\n{_marked('-', step.old)}{_marked('+', step.text)}"
    patch = f"*** Begin Patch\n{body}*** End Patch"
    for tool in tools:
        if _plain_name(tool) not in _PATCHERS:
            continue
        if tool.free_form:
            return Fitted(tool, patch)
        name = _has(tool, _PATCH)
        if name is not None:
            return _filled(tool, {name: patch}, directory)
    return None


_WAYS: Mapping[str, tuple[_Way, ...]] = {
    "run": (_run,),
    "read": (_read, _by_text_editor, _read_by_command),
    "write": (_write, _by_text_editor, _by_patch, _write_by_command),
    # A patch replaces whole lines, and a passage need not be any.
    "edit": (_edit, _by_text_editor, _edit_by_command, _by_patch),
}


def _marked(mark: str, text: str) -> str:
    return "".join(f"{mark}{line}\n" for line in text.removesuffix("\n").split("\n"))


# --- tools and their parameters --------------------------------------------------------------------------------


def _plain_name(tool: Tool) -> str:
    """The tool's own name, without what a client or its servers put before it."""
    return tool.name.rpartition("__")[2].rpartition(".")[2].lower()


def _named(tools: Sequence[Tool], names: Sequence[str]) -> Iterator[Tool]:
    """Those with one of the names first, in the names' order; then the others."""
    for name in names:
        yield from (tool for tool in tools if _plain_name(tool) == name)
    known = {*names, *_TEXT_EDITORS}
    yield from (tool for tool in tools if _plain_name(tool) not in known)


def _properties(tool: Tool) -> JSONObject:
    properties = tool.schema.get("properties") if tool.schema is not None else None
    return properties if isinstance(properties, dict) else {}


def _property(tool: Tool, name: str) -> JSONObject:
    found = _properties(tool).get(name)
    return found if isinstance(found, dict) else {}


def _required(tool: Tool) -> list[str]:
    required = tool.schema.get("required") if tool.schema is not None else None
    return [name for name in required if isinstance(name, str)] if isinstance(required, list) else []


def _has(tool: Tool, names: Sequence[str]) -> str | None:
    """The first of these parameters that the tool has and that takes a text; a command may be a row of words, too."""
    for name in names:
        if name not in _properties(tool):
            continue
        kind = _property(tool, name).get("type")
        kinds = kind if isinstance(kind, list) else [kind]
        if None in kinds or "string" in kinds or ("array" in kinds and name in _COMMAND):
            return name
    return None


def _by_roles(
    tools: Sequence[Tool],
    names: Sequence[str],
    roles: Sequence[tuple[Sequence[str], str]],
    directory: str,
    *,
    without: Sequence[str] = (),
) -> Fitted | None:
    """A tool that has a parameter for each role, and none of those `without`."""
    for tool in _named(tools, names):
        if tool.free_form or any(name in _properties(tool) for name in without):
            continue
        found = [(_has(tool, spellings), value) for spellings, value in roles]
        given: JSONObject = {
            name: _placed(tool, name, value, directory) if name in _PATH else value
            for name, value in found
            if name is not None
        }
        if len(given) == len(roles):
            return _filled(tool, given, directory)
    return None


def _placed(tool: Tool, name: str, path: str, directory: str) -> str:
    """The path as the tool wants it: an absolute one where its description asks for that."""
    described = _property(tool, name).get("description")
    wants = "absolute" in name or (isinstance(described, str) and "absolute" in described.lower())
    if not wants or not directory or path.startswith("/"):
        return path
    return f"{directory.rstrip('/')}/{path}"


def _filled(tool: Tool, given: JSONObject, directory: str) -> Fitted:
    """The arguments, with something sensible for what else is required."""
    arguments = dict(given)
    for name in _required(tool):
        if name not in arguments:
            arguments[name] = _sensible(name, _property(tool, name), directory)
    return Fitted(tool, _compact(arguments))


def _sensible(name: str, schema: JSONObject, directory: str) -> JSON:
    kind = schema.get("type")
    if kind == "boolean":
        return False
    if "timeout" in name.lower() and kind in ("integer", "number"):
        return TIMEOUT_MS
    if kind == "string" and "enum" not in schema and "const" not in schema:
        if name.lower() in ("workdir", "cwd", "directory", "dir_path", "working_directory"):
            return directory or "."
        return ABOUT
    return value_for(schema, Dice(name.encode()))


def _compact(value: JSONObject) -> str:
    return msgspec.json.encode(value).decode()
