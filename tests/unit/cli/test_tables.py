"""What people read: a list fits a terminal of 100 columns, and loses nothing where it does not."""

from collections.abc import Mapping

import pytest

from bytespike.cli import channels, keys
from bytespike.cli.answer import SPELLED_CHARS_MAX, Answer, listing, record, show, spelled
from bytespike.core.json_types import JSON

COLUMNS = 100
MODELS: dict[str, JSON] = {f"model-{n}": f"model-{n}" for n in range(40)} | {"gpt-5-5": "gpt-5.5"}
CHANNEL: Mapping[str, JSON] = {
    "id": "chn_01M7ZBPSRAY2EP5HG4KVKABCDE",
    "name": "anthropic-main-eu-west",
    "platform": "anthropic_compatible",
    "base_urls": {},
    "models": MODELS,
    "group_ids": [1, 2],
    "priority": 10,
    "weight": 100,
    "enabled": True,
    "disabled_reason": None,
}


def lines(capsys: pytest.CaptureFixture[str], answer: Answer, width: int = COLUMNS) -> list[str]:
    show(answer, as_json=False, width=width)
    return capsys.readouterr().out.splitlines()


def test_a_channel_is_one_line_however_many_models_it_serves(capsys: pytest.CaptureFixture[str]) -> None:
    *head, row = lines(capsys, listing([CHANNEL], channels.COLUMNS))
    assert max(map(len, head)) <= COLUMNS
    words = "anthropic-main-eu-west anthropic_compatible 41 1, 2 10 100 yes -"
    assert row.split() == words.split()


def test_a_reason_is_told_whole_though_it_is_long(capsys: pytest.CaptureFixture[str]) -> None:
    reason = "the upstream refused its credential with 401, and said so at length: " + "x" * 60
    shown = lines(capsys, listing([{**CHANNEL, "disabled_reason": reason}], channels.COLUMNS))
    assert all(len(line) <= COLUMNS for line in shown)
    told = "".join(shown[1:])
    assert told.count("x") == reason.count("x")
    assert "length:" in told


def test_ids_are_whole_in_a_list_of_keys(capsys: pytest.CaptureFixture[str]) -> None:
    key: dict[str, JSON] = {
        "id": "key_01M7ZBPSQZV5KFRQEZ3VCWSX5X",
        "name": "laptop",
        "masked": "sk-byts-…****JoYZ",
        "status": "active",
        "quota": "20.00",
        "spent": "0.000827",
        "windows": [],
    }
    _, row = lines(capsys, listing([key], keys.COLUMNS, cells=keys.CELLS))
    assert row.split() == [*list(key.values())[:-1], "-"]


def test_a_keys_windows_are_told_in_a_few_words_and_wrapped_where_there_is_no_room(
    capsys: pytest.CaptureFixture[str],
) -> None:
    key: dict[str, JSON] = {
        "id": "key_01M7ZBPSQZV5KFRQEZ3VCWSX5X",
        "name": "laptop",
        "masked": "sk-byts-…****JoYZ",
        "status": "active",
        "quota": "20.00",
        "spent": "0.000827",
        "windows": [
            {"span": "5h", "spent": "0.000827", "limit": "5.00"},
            {"span": "7d", "spent": "31.00", "limit": "100.00"},
        ],
    }
    _, row, *more = lines(capsys, listing([key], keys.COLUMNS, cells=keys.CELLS))
    words = [*row.split(), *(word for line in more for word in line.split())]
    assert words == [*list(key.values())[:-1], "5h", "0.000827/5.00,", "7d", "31.00/100.00"]


def test_what_a_table_spells_out_is_cut_where_it_is_long(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, JSON]] = [
        {"kind": "a", "payload": {"balance": "7.00", "currency": "USD"}},
        {"kind": "b", "payload": {"reason": "x" * 500}},
        {"kind": "c", "payload": {}},
    ]
    shown = lines(capsys, listing(rows, ("kind", "payload"), cells={"payload": spelled}), width=400)
    assert [line.split(maxsplit=1)[1].strip() for line in shown[1:]] == [
        "balance=7.00, currency=USD",
        "reason=" + "x" * (SPELLED_CHARS_MAX - len("reason=") - 1) + "…",
        "-",
    ]


def test_a_record_names_a_model_once_where_the_upstream_calls_it_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (row,) = lines(capsys, record({"models": {"glm-5": "glm-5", "gpt-5-5": "gpt-5.5"}}))
    assert row.split(maxsplit=1)[1].strip() == "glm-5, gpt-5-5=gpt-5.5"
