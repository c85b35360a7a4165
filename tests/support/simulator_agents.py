"""Tools as the common command-line clients offer them, cut down to names, parameters and what is said of paths."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def schema(required: str, optional: str = "", **more: Schema) -> Schema:
    """An object of strings, but for what `more` says."""
    names = [*required.split(), *optional.split()]
    return {
        "type": "object",
        "properties": {name: more.get(name, {"type": "string"}) for name in names},
        "required": required.split(),
    }


ABSOLUTE: Schema = {"type": "string", "description": "The absolute path to the file to write"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
WORDS: Schema = {"type": "array", "items": {"type": "string"}}

#: By client: name and parameters of each tool; None for a free-form one.
CLAUDE_CODE: dict[str, Schema | None] = {
    "Task": schema("description prompt subagent_type"),
    "Bash": schema(
        "command", "description timeout run_in_background", timeout=NUMBER, run_in_background=FLAG
    ),
    "Glob": schema("pattern", "path"),
    "Grep": schema("pattern", "path"),
    "Read": schema("file_path", "offset limit", file_path=ABSOLUTE, offset=NUMBER, limit=NUMBER),
    "Edit": schema("file_path old_string new_string", "replace_all", file_path=ABSOLUTE, replace_all=FLAG),
    "Write": schema("file_path content", file_path=ABSOLUTE),
    "NotebookEdit": schema("notebook_path new_source"),
    "WebFetch": schema("url prompt"),
    "mcp__files__write_file": schema("path content"),
}
CODEX: dict[str, Schema | None] = {
    "exec_command": schema("cmd", "workdir yield_time_ms", yield_time_ms=NUMBER),
    "write_stdin": schema("session_id", "chars", session_id=NUMBER),
    "update_plan": schema("plan", plan={"type": "array", "items": {"type": "object"}}),
    "apply_patch": None,
    "view_image": schema("path"),
}
CODEX_SHELL: dict[str, Schema | None] = {
    "shell": schema("command", "workdir timeout_ms", command=WORDS, timeout_ms=NUMBER),
    "update_plan": schema("plan"),
}
GEMINI_CLI: dict[str, Schema | None] = {
    "list_directory": schema("dir_path"),
    "read_file": schema("file_path", "start_line", start_line=NUMBER),
    "write_file": schema("file_path content"),
    "replace": schema("file_path instruction old_string new_string"),
    "glob": schema("pattern"),
    "run_shell_command": schema("command", "description dir_path is_background", is_background=FLAG),
    "save_memory": schema("fact"),
}
OPENCODE: dict[str, Schema | None] = {
    "bash": schema("command description", "timeout workdir", timeout=NUMBER),
    "read": schema("filePath", "offset", filePath=ABSOLUTE, offset=NUMBER),
    "edit": schema("filePath oldString newString", "replaceAll", filePath=ABSOLUTE, replaceAll=FLAG),
    "write": schema("content filePath", filePath=ABSOLUTE),
    "todowrite": schema("todos", todos=WORDS),
}
QWEN_CODE: dict[str, Schema | None] = {
    "run_shell_command": schema("command is_background", "description", is_background=FLAG),
    "write_file": schema("file_path content"),
}
#: A client that nobody has heard of.
UNHEARD: dict[str, Schema | None] = {
    "think": schema("thought"),
    "terminal": schema(
        "command requires_approval timeout_ms", requires_approval=FLAG, timeout_ms={"type": "integer"}
    ),
    "make_it_so": schema("path contents"),
}

AIDER_BLOCKS = "Act as an expert developer. Every change must be a *SEARCH/REPLACE block*. Every block has this format: …"
AIDER_LISTINGS = (
    "To suggest changes to a file you MUST return a *file listing* that contains the entire content."
)
