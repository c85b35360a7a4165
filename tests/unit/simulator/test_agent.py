"""Scripted agents: which tool is called with what, without HTTP."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bytespike.providers.simulator.agent import ON_THE_SIDE, Speak, next_move
from bytespike.providers.simulator.agent_steps import Step, Unreadable, read_step
from bytespike.providers.simulator.agent_tools import ABOUT, TIMEOUT_MS, Fitted
from bytespike.providers.simulator.prompt import Line, Prompt, Result, Tool
from tests.support.simulator_agents import (
    AIDER_BLOCKS,
    AIDER_LISTINGS,
    CLAUDE_CODE,
    CODEX,
    CODEX_SHELL,
    GEMINI_CLI,
    OPENCODE,
    QWEN_CODE,
    UNHEARD,
    Schema,
    schema,
)

WRITE = '[[agent: write hello.txt "hello"]]'
RUN = "[[agent: run echo hi]]"


def tools(offered: dict[str, Schema | None]) -> tuple[Tool, ...]:
    return tuple(Tool(name, given, free_form=given is None) for name, given in offered.items())


def prompt(
    *history: Line | str,
    offered: dict[str, Schema | None] | None = None,
    results: tuple[str, ...] = (),
    **more: Any,
) -> Prompt:
    lines = tuple(Line("user", line) if isinstance(line, str) else line for line in history)
    given = tuple(Result("t", text) for text in results)
    return Prompt(
        model="m",
        text="",
        turns=1,
        input_tokens=1,
        tools=tools(offered or {}),
        history=lines,
        results=given,
        **more,
    )


def call(text: str, offered: dict[str, Schema | None], *before: Line) -> tuple[str, Any]:
    move = next_move(prompt(*before, text, offered=offered))
    assert isinstance(move, Fitted), move
    return move.tool.name, move.arguments if move.tool.free_form else json.loads(move.arguments)


def words(move: Any) -> str:
    assert isinstance(move, Speak), move
    return move.text


# --- how steps are written -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "step"),
    [
        (" run echo 'a b' | wc ", Step("run", "echo 'a b' | wc")),
        ("read a.txt", Step("read", "a.txt")),
        ('read "a b.txt"', Step("read", "a b.txt")),
        ('write a.txt "one\\ntwo"', Step("write", "a.txt", "one\ntwo")),
        ('write a.txt "one\ntwo"', Step("write", "a.txt", "one\ntwo")),
        ("write a.txt as it stands", Step("write", "a.txt", "as it stands")),
        ('write \\"a b\\" \\"c\\"', Step("write", "a b", "c")),
        ('edit a.txt "x" "y"', Step("edit", "a.txt", "y", old="x")),
        ('edit a.txt "x"', Step("write", "a.txt", "x")),
        ('call lookup {"q": 1}', Step("call", "lookup", '{"q": 1}')),
        ("call lookup", Step("call", "lookup", "{}")),
    ],
)  # fmt: skip
def test_steps_are_read(source: str, step: Step) -> None:
    assert read_step(source) == step


@pytest.mark.parametrize(("source", "says"), [("fly home", "no step 'fly'"), ("run", "what"), ("", "no step ''"),
                                              ('write a "\\x"', "JSON string")])  # fmt: skip
def test_what_is_no_step_is_told(source: str, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        read_step(source)
    assert says in words(next_move(prompt(f"[[agent: {source}]]", offered=CLAUDE_CODE)))


# --- finding the tool ------------------------------------------------------------------------------------------

PATCH = "*** Begin Patch\n*** Add File: hello.txt\n+hello\n*** End Patch"


@pytest.mark.parametrize(
    ("offered", "name", "arguments"),
    [
        (CLAUDE_CODE, "Write", {"file_path": "hello.txt", "content": "hello"}),
        (CODEX, "apply_patch", PATCH),
        (CODEX_SHELL, "shell", {"command": ["bash", "-lc", "printf %s hello > hello.txt"]}),
        (GEMINI_CLI, "write_file", {"file_path": "hello.txt", "content": "hello"}),
        (OPENCODE, "write", {"filePath": "hello.txt", "content": "hello"}),
        (UNHEARD, "make_it_so", {"path": "hello.txt", "contents": "hello"}),
    ],
    ids=["claude", "codex", "codex-shell", "gemini", "opencode", "unheard"],
)
def test_a_file_is_written_with_what_the_client_has(
    offered: dict[str, Schema | None], name: str, arguments: Any
) -> None:
    assert call(WRITE, offered) == (name, arguments)


@pytest.mark.parametrize(
    ("offered", "name", "arguments"),
    [
        (CLAUDE_CODE, "Bash", {"command": "echo hi"}),
        (CODEX, "exec_command", {"cmd": "echo hi"}),
        (CODEX_SHELL, "shell", {"command": ["bash", "-lc", "echo hi"]}),
        (GEMINI_CLI, "run_shell_command", {"command": "echo hi"}),
        (OPENCODE, "bash", {"command": "echo hi", "description": ABOUT}),
        (QWEN_CODE, "run_shell_command", {"command": "echo hi", "is_background": False}),
        (UNHEARD, "terminal", {"command": "echo hi", "requires_approval": False, "timeout_ms": TIMEOUT_MS}),
    ],
    ids=["claude", "codex", "codex-shell", "gemini", "opencode", "qwen", "unheard"],
)  # fmt: skip
def test_a_command_is_run_with_what_the_client_has(
    offered: dict[str, Schema | None], name: str, arguments: Any
) -> None:
    assert call(RUN, offered) == (name, arguments)


@pytest.mark.parametrize(
    ("offered", "name", "path", "old", "new"),
    [
        (CLAUDE_CODE, "Edit", "file_path", "old_string", "new_string"),
        (GEMINI_CLI, "replace", "file_path", "old_string", "new_string"),
        (OPENCODE, "edit", "filePath", "oldString", "newString"),
    ],
    ids=["claude", "gemini", "opencode"],
)
def test_a_passage_is_edited_with_what_the_client_has(
    offered: dict[str, Schema | None], name: str, path: str, old: str, new: str
) -> None:
    found, arguments = call('[[agent: edit a.txt "x" "y"]]', offered)
    assert found == name
    assert (arguments[path], arguments[old], arguments[new]) == ("a.txt", "x", "y")


def test_a_passage_is_edited_by_a_patch_where_there_is_nothing_else() -> None:
    """Whole lines only, so a command goes before it."""
    _, patch = call('[[agent: edit a.txt "x" "y"]]', {"apply_patch": None})
    assert call('[[agent: edit a.txt "x" "y"]]', CODEX)[0] == "exec_command"
    assert patch == "*** Begin Patch\n*** Update File: a.txt\n@@\n-x\n+y\n*** End Patch"


def test_commands_stand_in_for_the_tools_that_are_not_there(tmp_path: Path) -> None:
    for text, expected in (
        ('[[agent: write a.txt "it\'s\\n$HOME"]]', ""),
        ('[[agent: edit a.txt "it\'s" "was"]]', ""),
        ("[[agent: read a.txt]]", "was\n$HOME"),
    ):
        _, arguments = call(text, CODEX_SHELL)
        done = subprocess.run(arguments["command"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout == expected


@pytest.mark.parametrize(
    ("offered", "name", "arguments"),
    [
        (CLAUDE_CODE, "Read", {"file_path": "a.txt"}),
        (CODEX, "exec_command", {"cmd": "cat a.txt"}),
        (GEMINI_CLI, "read_file", {"file_path": "a.txt"}),
        (OPENCODE, "read", {"filePath": "a.txt"}),
    ],
    ids=["claude", "codex", "gemini", "opencode"],
)
def test_a_file_is_read_with_what_the_client_has(
    offered: dict[str, Schema | None], name: str, arguments: Any
) -> None:
    assert call("[[agent: read a.txt]]", offered) == (name, arguments)


def test_what_else_is_required_gets_something_sensible() -> None:
    odd = schema(
        "cmd workdir level names", level={"enum": [3]}, names={"type": "array", "items": {"type": "string"}}
    )
    _, arguments = call(RUN, {"exec": odd}, Line("system", "<cwd>/home/me/project</cwd>"))
    assert arguments["workdir"] == "/home/me/project"
    assert arguments["level"] == 3
    assert len(arguments["names"]) == 1
    patch = call(WRITE, {"apply_patch": schema("input")})[1]["input"]
    assert patch.startswith("*** Begin Patch")


def test_anthropics_own_tools_are_known() -> None:
    own: dict[str, Schema | None] = {
        "bash": {"type": "object", "properties": {"command": {"const": "x"}}, "required": ["command"]},
        "str_replace_based_edit_tool": {"type": "object", "properties": {"command": {}, "path": {}}},
    }
    assert call(RUN, own) == ("bash", {"command": "echo hi"})
    wanted = {"command": "create", "path": "hello.txt", "file_text": "hello"}
    assert call(WRITE, own) == ("str_replace_based_edit_tool", wanted)
    assert call("[[agent: read a]]", own)[1] == {"command": "view", "path": "a"}
    edit = {"command": "str_replace", "path": "a", "old_str": "x", "new_str": "y"}
    assert call('[[agent: edit a "x" "y"]]', own)[1] == edit


def test_any_tool_can_be_called_by_name_and_a_deferred_one_in_no_other_way() -> None:
    assert call('[[agent: call Grep {"pattern": "x"}]]', CLAUDE_CODE) == ("Grep", {"pattern": "x"})
    later = Tool("Write", CLAUDE_CODE["Write"], deferred=True)
    shell = Tool("Bash", CLAUDE_CODE["Bash"])
    history = (Line("user", WRITE),)
    move = next_move(Prompt("m", "", 1, 1, tools=(later, shell), history=history))
    assert isinstance(move, Fitted)
    assert move.tool is shell


@pytest.mark.parametrize(
    "told",
    [
        "<env>\nWorking directory: /home/me/project\nPlatform: linux",
        " - Primary working directory: /home/me/project\n",
        "<environment_context>\n  <cwd>/home/me/project</cwd>",
        "- **Workspace Directories:**\n  - /home/me/project\n",
        "I'm currently working in the directory: /home/me/project\n",
    ],
)
def test_a_path_is_absolute_where_the_tool_wants_it_and_the_client_tells_where_it_works(told: str) -> None:
    for speaker in ("system", "user"):
        _, arguments = call(WRITE, CLAUDE_CODE, Line(speaker, told))
        assert arguments["file_path"] == "/home/me/project/hello.txt"
        assert call(WRITE, GEMINI_CLI, Line(speaker, told))[1]["file_path"] == "hello.txt"
    assert call('[[agent: write /tmp/x "y"]]', CLAUDE_CODE, Line("system", told))[1]["file_path"] == "/tmp/x"


def test_where_no_tool_can_do_it_the_agent_says_so() -> None:
    assert "none of the 1 tools can run" in words(
        next_move(prompt(RUN, offered={"think": {"type": "object"}}))
    )


# --- what is to be done now ------------------------------------------------------------------------------------

CALLED, GIVEN = Line("answer", ""), Line("result", "ok")


def test_without_a_step_there_is_nothing_to_do() -> None:
    assert next_move(prompt("Hello", offered=CLAUDE_CODE)) is None


def test_when_the_results_are_there_the_answer_quotes_them() -> None:
    done = words(next_move(prompt(RUN, CALLED, GIVEN, offered=CLAUDE_CODE, results=("hi\n",))))
    assert done.startswith("agent done: hi\n")
    assert "simulator" in done
    failed = prompt(RUN, CALLED, GIVEN, offered=CLAUDE_CODE)
    failed = Prompt(
        "m", "", 1, 1, tools=failed.tools, history=failed.history, results=(Result("t", "no", True),)
    )
    assert words(next_move(failed)).startswith("agent failed: no")


def test_steps_are_done_one_after_the_other() -> None:
    both = f"First {RUN}, then [[agent: read a.txt]]"
    assert call(both, CLAUDE_CODE)[0] == "Bash"
    second = next_move(prompt(both, CALLED, GIVEN, offered=CLAUDE_CODE, results=("hi",)))
    assert isinstance(second, Fitted)
    assert second.tool.name == "Read"
    third = next_move(prompt(both, CALLED, GIVEN, CALLED, GIVEN, offered=CLAUDE_CODE, results=("text",)))
    assert words(third).startswith("agent done: text")


def test_after_its_end_a_script_is_over() -> None:
    over = (RUN, CALLED, GIVEN, Line("answer", "agent done: hi"))
    assert next_move(prompt(*over, "Thanks", offered=CLAUDE_CODE)) is None
    again = next_move(prompt(*over, "[[agent: run date]]", offered=CLAUDE_CODE))
    assert isinstance(again, Fitted)
    assert json.loads(again.arguments) == {"command": "date"}


def test_only_what_the_user_wrote_is_a_script() -> None:
    for speaker in ("system", "answer", "result"):
        assert next_move(prompt(Line(speaker, RUN), "Hello", offered=CLAUDE_CODE)) is None
    echoed = (WRITE, CALLED, Line("result", RUN))
    assert words(next_move(prompt(*echoed, offered=CLAUDE_CODE, results=(RUN,)))).startswith("agent done: ")


def test_the_clients_wrapping_does_not_hide_a_script() -> None:
    wrapped = (
        "<system-reminder>Rules of the house</system-reminder>",
        f"<user_query>\nPlease: {WRITE}\n</user_query>",
        "<system-reminder>More rules</system-reminder>",
    )
    move = next_move(prompt(*wrapped, offered=CLAUDE_CODE))
    assert isinstance(move, Fitted)
    assert move.tool.name == "Write"


def test_a_request_on_the_side_gets_words_or_json() -> None:
    assert words(next_move(prompt("Give this a title:", WRITE))) == ON_THE_SIDE
    assert next_move(prompt(WRITE, schema={"type": "object"})) is None
    assert next_move(prompt(WRITE, json_object=True)) is None


# --- edits in words --------------------------------------------------------------------------------------------

SHOWN = "I have *added these files to the chat*.\n\nhello.txt\n```\none\ntwo\n```\n"


def edited(told: str, text: str, *before: str) -> str:
    return words(next_move(prompt(Line("system", told), *before, text)))


def test_blocks_replace_a_passage_or_the_whole_file() -> None:
    passage = edited(AIDER_BLOCKS, '[[agent: edit hello.txt "one" "uno"]]')
    assert "\nhello.txt\n```\n<<<<<<< SEARCH\none\n=======\nuno\n>>>>>>> REPLACE\n```\n" in passage
    new = edited(AIDER_BLOCKS, WRITE)
    assert "\nhello.txt\n```\n<<<<<<< SEARCH\n=======\nhello\n>>>>>>> REPLACE\n```\n" in new
    whole = edited(AIDER_BLOCKS, WRITE, SHOWN)
    assert "<<<<<<< SEARCH\none\ntwo\n=======\nhello\n>>>>>>> REPLACE" in whole


def test_listings_hold_the_whole_file() -> None:
    assert edited(AIDER_LISTINGS, WRITE).endswith("\nhello.txt\n```\nhello\n```\n")
    passage = edited(AIDER_LISTINGS, '[[agent: edit hello.txt "one" "uno"]]', SHOWN)
    assert passage.endswith("\nhello.txt\n```\nuno\ntwo\n```\n")


def test_a_client_that_takes_edits_in_words_gets_none_for_a_command() -> None:
    assert edited(AIDER_BLOCKS, RUN) == ON_THE_SIDE
