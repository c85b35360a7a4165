import asyncio
import base64
import stat
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.accounts.master_key import MasterKeyError, create_private, open_box
from bytespike.accounts.secrets import Place, SecretBox
from bytespike.settings import Settings
from bytespike.store.engine import create_engine, migrate

PLACE = Place("t", "c", "r")


def opened(folder: Path, **fields: str) -> SecretBox:
    async def run() -> SecretBox:
        engine: AsyncEngine = create_engine(f"sqlite:///{folder}/a.db")
        try:
            await migrate(engine)
            return await open_box(engine, Settings(master_key_file=folder / "master.key", **fields))
        finally:
            await engine.dispose()

    return asyncio.run(run())


def test_the_first_run_makes_a_key_that_only_its_owner_may_read(tmp_path: Path) -> None:
    box = opened(tmp_path)
    path = tmp_path / "master.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(base64.b64decode(path.read_text())) == 32
    assert sorted(each.name for each in tmp_path.iterdir() if "key" in each.name) == ["master.key"]
    assert opened(tmp_path).open(box.seal("x", PLACE), PLACE) == "x"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_that_others_may_read_stops_the_boot(tmp_path: Path, mode: int) -> None:
    opened(tmp_path)
    (tmp_path / "master.key").chmod(mode)
    with pytest.raises(MasterKeyError, match="chmod 600"):
        opened(tmp_path)


def test_another_key_is_told_at_boot_without_showing_any(tmp_path: Path) -> None:
    opened(tmp_path)
    right = (tmp_path / "master.key").read_text().strip()
    wrong = "ab" * 32
    with pytest.raises(MasterKeyError, match="not the one") as caught:
        opened(tmp_path, master_key=wrong)
    assert wrong not in str(caught.value)
    assert right not in str(caught.value)


def test_a_lost_key_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    opened(tmp_path)
    (tmp_path / "master.key").unlink()
    with pytest.raises(MasterKeyError, match="missing"):
        opened(tmp_path)
    assert not (tmp_path / "master.key").exists()


def test_a_given_key_leaves_no_file(tmp_path: Path) -> None:
    opened(tmp_path, master_key="ab" * 32)
    assert not (tmp_path / "master.key").exists()
    opened(tmp_path, master_key=base64.b64encode(bytes([0xAB]) * 32).decode())


@pytest.mark.parametrize("text", ["", "too short", "ab" * 31, "ä" * 32])
def test_a_damaged_key_file_stops_the_boot(tmp_path: Path, text: str) -> None:
    (tmp_path / "master.key").touch(mode=0o600)
    (tmp_path / "master.key").write_text(text)
    with pytest.raises(MasterKeyError, match="does not hold a master key"):
        opened(tmp_path)


def test_a_private_file_is_made_once(tmp_path: Path) -> None:
    assert create_private(tmp_path / "new" / "p", "one")
    assert not create_private(tmp_path / "new" / "p", "two")
    assert (tmp_path / "new" / "p").read_text() == "one"
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["p"]
