"""Where settings come from, and what is said of wrong ones."""

import dataclasses
import re
from pathlib import Path

import pytest

from bytespike.settings import Settings, SettingsError, described, load, variables
from bytespike.wire import limits

KEY = "ab" * 32


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, _ in described():
        for variable in variables(name):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("BYTESPIKE_CONFIG", raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))


def problems(given: dict[str, object] | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(given)
    return caught.value.problems


def test_without_anything_set_the_defaults_hold(tmp_path: Path) -> None:
    settings = load()
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.data_dir == tmp_path
    assert settings.database_url == f"sqlite:///{tmp_path}/bytespike.db"
    assert settings.master_key_file == tmp_path / "master.key"


def test_the_command_line_wins_over_the_environment_over_the_file_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load().port == 8080
    (tmp_path / "bytespike.toml").write_text("port = 1\nattempts_max = 7\n")
    assert load().port == 1
    monkeypatch.setenv("PORT", "2")
    assert load().port == 2
    monkeypatch.setenv("BYTESPIKE_PORT", "3")
    assert load().port == 3
    assert load({"port": 4}).port == 4
    assert load({"port": None}).port == 3
    assert load().attempts_max == 7


def test_the_file_is_named_by_a_variable_or_lies_in_the_data_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "bytespike.toml").write_text("port = 5\n")
    assert load({"data_dir": str(elsewhere)}).port == 5
    (tmp_path / "other.toml").write_text("port = 6\n")
    monkeypatch.setenv("BYTESPIKE_CONFIG", str(tmp_path / "other.toml"))
    assert load().port == 6
    monkeypatch.setenv("BYTESPIKE_CONFIG", str(tmp_path / "missing.toml"))
    assert "BYTESPIKE_CONFIG" in problems()[0]


def test_an_empty_variable_is_as_if_it_were_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("PORT", "BYTESPIKE_PORT", "DATABASE_URL", "BYTESPIKE_MASTER_KEY"):
        monkeypatch.setenv(variable, "")
    assert load().port == 8080


def test_lists_are_comma_separated_in_the_environment_and_lists_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bytespike.toml").write_text('trusted_proxies = ["10.0.0.0/8", "::1"]\n')
    assert [str(each) for each in load().trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    monkeypatch.setenv("BYTESPIKE_TRUSTED_PROXIES", "192.168.0.0/16, fd00::/8")
    assert [str(each) for each in load().trusted_proxies] == ["192.168.0.0/16", "fd00::/8"]


# A setting, a wrong value of it, and what the line must say was expected.
WRONG = [
    ("port", "eighty", "0 to 65535"),
    ("port", "65536", "0 to 65535"),
    ("port", "-1", "0 to 65535"),
    ("public_base_url", "gateway.example.com", "http or https URL"),
    ("public_base_url", "https://", "http or https URL"),
    ("trusted_proxies", "10.0.0.0/8,localhost", "CIDRs"),
    ("trusted_proxies", "10.0.0.1/8", "CIDRs"),
    ("database_url", "mysql://u:hunter2@h/n", "sqlite"),
    ("master_key", "hunter2", "32 bytes"),
    ("master_key", "hunter2" * 10, "32 bytes"),
    ("log_level", "loud", "debug, info, warning or error"),
    ("log_format", "xml", "text or json"),
    ("connect_timeout_s", "0", "more than 0"),
    ("first_byte_timeout_s", "soon", "seconds"),
    ("idle_timeout_s", "inf", "seconds"),
    ("total_timeout_s", "nan", "seconds"),
    ("upstream_connections_max", "0", "integer from 1"),
    ("upstream_idle_max", "1.5", "integer from 1"),
    ("body_bytes_max", "12", "bytes"),
    ("attempts_max", "0", "1 to 20"),
    ("strict_protocol_matrix", "maybe", "true or false"),
    ("spool_fsync_interval_ms", "-1", "milliseconds"),
    ("change_poll_ms", "1000", "20 to 900"),
    ("session_hours", "0", "hours"),
]


@pytest.mark.parametrize(("name", "value", "expected"), WRONG)
def test_a_wrong_value_is_named_with_what_came_and_what_was_expected(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variables(name)[0], value)
    (line,) = problems()
    assert line.startswith(variables(name)[0] + ": ")
    assert expected in line
    assert "hunter2" not in line
    assert ("(hidden)" in line) == dict(described())[name].secret
    assert dict(described())[name].secret or value in line


def test_the_line_names_where_the_value_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bytespike.toml").write_text('log_level = "loud"\n')
    assert problems() == (
        f"log_level in {tmp_path}/bytespike.toml: 'loud' is not acceptable; expected debug, info, warning or error",
    )
    monkeypatch.setenv("PORT", "x")
    assert any(line.startswith("PORT: 'x'") for line in problems())
    assert any(line.startswith("--port: 'y'") for line in problems({"port": "y"}))


def test_every_problem_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYTESPIKE_PORT", "x")
    monkeypatch.setenv("BYTESPIKE_LOG_LEVEL", "x")
    monkeypatch.setenv("BYTESPIKE_LOGLEVEL", "x")
    assert len(problems()) == 3


def test_an_unknown_variable_is_an_error_that_suggests_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYTESPIKE_DATABSE_URL", "hunter2")
    assert problems() == ("BYTESPIKE_DATABSE_URL: not a setting; did you mean BYTESPIKE_DATABASE_URL?",)
    monkeypatch.delenv("BYTESPIKE_DATABSE_URL")
    monkeypatch.setenv("BYTESPIKE_QQQQQQQQQQQQ", "x")
    assert "docs/reference/settings.md" in problems()[0]


def test_an_unknown_key_of_the_file_is_an_error_that_suggests_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "bytespike.toml").write_text('log_lvl = "info"\n')
    assert problems() == (f"log_lvl in {tmp_path}/bytespike.toml: not a setting; did you mean log_level?",)


def test_a_file_that_is_no_toml_is_an_error_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "bytespike.toml").write_text("port = \n")
    assert "bytespike.toml: not a TOML file" in problems()[0]
    assert "line 1" in problems()[0]


def test_a_hold_outlives_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYTESPIKE_HOLD_MAX_AGE_S", "60")
    assert "more than total_timeout_s" in problems()[0]


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        KEY.upper(),
        "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=",
        "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s",
    ],
)
def test_a_master_key_is_32_bytes_in_hexadecimal_or_base64(text: str) -> None:
    assert load({"master_key": text}).master_key == text


def test_a_settings_object_does_not_show_its_secrets() -> None:
    settings = load({"master_key": KEY, "database_url": "postgresql://u:hunter2@h/n"})
    assert KEY not in repr(settings)
    assert "hunter2" not in repr(settings)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.port = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_the_body_caps_are_the_contracts() -> None:
    settings = Settings()
    assert settings.body_bytes_max == limits.BODY_BYTES_MAX
    assert settings.answer_bytes_max == limits.ANSWER_BYTES_MAX


def test_every_setting_says_what_it_is_for_and_what_is_expected() -> None:
    for name, facts in described():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert facts.about.endswith(".")
        assert facts.expected
