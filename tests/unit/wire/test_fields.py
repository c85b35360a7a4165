"""Members of decoded JSON, read by type: what is wrong says what it is and where it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bytespike.wire import fields as f

#: A reader, a value that it takes, and one that it does not, with what is wrong about it.
READERS: list[tuple[Callable[[dict[str, Any], str], Any], Any, Any, str]] = [
    (f.text, "", 1, "must be a string, not a number"),
    (f.some_text, "a", "", "must not be empty"),
    (f.object_at, {}, [], "must be an object, not an array"),
    (f.array_at, [], {}, "must be an array, not an object"),
    (f.optional_text, "a", True, "must be a string, not a boolean"),
    (f.optional_flag, False, 0, "must be a boolean, not a number"),
    (f.optional_integer, 3, True, "must be an integer, not a boolean"),
    (f.optional_number, 0.5, "1", "must be a number, not a string"),
    (f.optional_object, {"a": 1}, "x", "must be an object, not a string"),
    (f.optional_array, [1], 1.5, "must be an array, not a number"),
]
REQUIRED = READERS[:4]
OPTIONAL = READERS[4:]


@pytest.mark.parametrize(("read", "good", "bad", "problem"), READERS)
def test_a_member_is_taken_by_its_type(read: Any, good: Any, bad: Any, problem: str) -> None:
    assert read({"a": good}, "a") == good
    with pytest.raises(f.Wrong) as caught:
        read({"a": bad}, "a")
    assert (caught.value.message, caught.value.param) == (problem, "a")


@pytest.mark.parametrize(("read", "_good", "_bad", "_problem"), REQUIRED)
def test_a_required_member_must_be_there_and_must_not_be_null(
    read: Any, _good: Any, _bad: Any, _problem: str
) -> None:
    with pytest.raises(f.Wrong, match="is required"):
        read({}, "a")
    with pytest.raises(f.Wrong, match="not null"):
        read({"a": None}, "a")


@pytest.mark.parametrize(("read", "_good", "_bad", "_problem"), OPTIONAL)
def test_of_an_optional_member_null_is_nothing(read: Any, _good: Any, _bad: Any, _problem: str) -> None:
    assert read({}, "a") is None
    assert read({"a": None}, "a") is None


def test_an_integer_has_bounds_and_may_be_written_as_a_float() -> None:
    assert f.optional_integer({"n": 3.0}, "n", least=3, most=3) == 3
    with pytest.raises(f.Wrong, match="must be an integer, not a number"):
        f.optional_integer({"n": 3.5}, "n")
    with pytest.raises(f.Wrong, match="must be at least 4"):
        f.optional_integer({"n": 3}, "n", least=4)
    with pytest.raises(f.Wrong, match="must be at most 2"):
        f.optional_integer({"n": 3}, "n", most=2)


def test_arrays_of_one_type_name_the_member_at_fault() -> None:
    assert f.texts({}, "stop") == ()
    assert f.texts({"stop": ["a", ""]}, "stop") == ("a", "")
    with pytest.raises(f.Wrong) as caught:
        f.texts({"stop": ["a", None]}, "stop")
    assert caught.value.sentence == "'stop[1]' must be a string, not null."
    assert f.objects([{}, {"a": 1}], "tools") == [{}, {"a": 1}]
    with pytest.raises(f.Wrong) as caught:
        f.objects([{}, "x"], "tools")
    assert caught.value.sentence == "'tools[1]' must be an object, not a string."


def test_the_path_is_collected_on_the_way_up() -> None:
    wrong = f.Wrong("is required", "text").under("content", 1).under("messages", 0)
    assert wrong.param == "messages[0].content[1].text"
    assert wrong.sentence == "'messages[0].content[1].text' is required."
    nowhere = f.Wrong("is no object")
    assert (nowhere.param, nowhere.sentence) == (None, "The body is no object.")


def test_the_rest_is_what_the_reader_does_not_know() -> None:
    known = frozenset({"a", "b"})
    assert f.rest({"a": 1}, known) == {}
    assert f.rest({"a": 1, "x": None, "y": 2}, known) == {"x": None, "y": 2}
