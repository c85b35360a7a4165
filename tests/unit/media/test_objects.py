"""What is put into the object store comes out of it again until its time is over, and then nothing is left."""

from __future__ import annotations

import asyncio
import re
import stat
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bytespike.media.objects.backends import Backend, Folder, StoreUnavailable, backend_at
from bytespike.media.objects.store import NoSuchObject, ObjectStore, ObjectTooLarge, path_of
from bytespike.media.objects.sweep import sweep
from bytespike.store.engine import reading
from bytespike.store.media_tables import objects
from tests.support.object_house import RETENTION_S, ObjectHouse, object_house, pieces_of
from tests.support.video_files import mp4

VIDEO = mp4(640, 360, 4.5, pictures=3_000_000)


async def rows(house: ObjectHouse) -> int:
    async with reading(house.engine) as connection:
        return (await connection.execute(select(func.count()).select_from(objects))).scalar_one()


def test_what_was_put_comes_out_again_with_what_its_bytes_say() -> None:
    async def run() -> None:
        async with object_house() as house:
            stored = await house.store.put(pieces_of(VIDEO), key_id="key_1", task_id="task_1")
            assert (stored.content_type, stored.bytes) == ("video/mp4", len(VIDEO))
            assert (stored.width, stored.height, stored.duration_seconds) == (640, 360, 4.5)
            assert stored.expires_at - stored.created_at == RETENTION_S * 1_000_000
            assert await house.store.find(stored.id) == stored
            assert await house.read(stored) == VIDEO

    asyncio.run(run())


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (5, 5), (1_048_575, 1_048_577), (2_999_000, None), (7, 10**9), (10**9, None)]
)
def test_any_part_can_be_read(start: int, end: int | None) -> None:
    async def run() -> None:
        async with object_house() as house:
            stored = await house.store.put(pieces_of(VIDEO), key_id="key_1")
            assert await house.read(stored, start, end) == VIDEO[start:end]

    asyncio.run(run())


def test_an_empty_object_is_one_too() -> None:
    async def run() -> None:
        async with object_house() as house:
            stored = await house.store.put(pieces_of(b""), key_id="key_1")
            assert stored.bytes == 0
            assert await house.read(stored) == b""

    asyncio.run(run())


def test_ids_cannot_be_guessed_and_files_lie_by_their_random_part() -> None:
    async def run() -> None:
        async with object_house() as house:
            ids = {(await house.store.put(pieces_of(b"x"), key_id="key_1")).id for _ in range(20)}
            assert len(ids) == 20
            assert all(re.fullmatch(r"obj_[0-9a-z]{32}", id) for id in ids)
            # 160 random bits: no two share what could be a counter or a clock.
            assert len({id[4:10] for id in ids}) == 20
            assert {path_of(id).partition("/")[2] for id in ids} == set(house.files())

    asyncio.run(run())


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    Folder(tmp_path / "objects")
    assert stat.S_IMODE((tmp_path / "objects").stat().st_mode) == 0o700


def test_a_stream_that_breaks_leaves_nothing_and_says_why() -> None:
    class Broken(Exception):
        pass

    async def breaking() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield bytes(65536)
        raise Broken

    async def run() -> None:
        async with object_house() as house:
            with pytest.raises(Broken):
                await house.store.put(breaking(), key_id="key_1")
            assert await rows(house) == 0
            # The writer is let go when nothing holds it any more, on a thread of its own.
            async with asyncio.timeout(20):
                while house.files():
                    await asyncio.sleep(0.01)

    asyncio.run(run())


def test_a_put_that_is_cancelled_leaves_a_row_that_nobody_finds_and_that_is_swept() -> None:
    async def run() -> None:
        async with object_house() as house:
            begun = asyncio.Event()

            async def endless() -> AsyncIterator[bytes]:
                for _ in range(200):
                    yield bytes(65536)
                begun.set()
                await asyncio.Event().wait()

            put = asyncio.create_task(house.store.put(endless(), key_id="key_1"))
            await begun.wait()
            put.cancel()
            with pytest.raises(asyncio.CancelledError):
                await put
            del put
            async with reading(house.engine) as connection:
                (id,) = (await connection.execute(select(objects.c.id))).scalars()
            with pytest.raises(NoSuchObject):
                await house.store.find(id)
            house.clock.forward(RETENTION_S)
            assert await house.store.delete_expired(10) == 1
            assert await rows(house) == 0
            assert house.files() == []

    asyncio.run(run())


def test_more_than_was_allowed_is_not_kept() -> None:
    async def run() -> None:
        async with object_house() as house:
            with pytest.raises(ObjectTooLarge):
                await house.store.put(pieces_of(VIDEO), key_id="key_1", bytes_max=len(VIDEO) - 1)
            assert await rows(house) == 0
            stored = await house.store.put(pieces_of(VIDEO), key_id="key_1", bytes_max=len(VIDEO))
            assert stored.bytes == len(VIDEO)

    asyncio.run(run())


def test_an_object_ends_when_its_time_is_over_and_is_swept_with_its_bytes() -> None:
    async def run() -> None:
        async with object_house() as house:
            early = await house.store.put(
                pieces_of(b"early"), key_id="key_1", expires_at=house.clock.now_us() + 60_000_000
            )
            late = await house.store.put(pieces_of(b"late"), key_id="key_1")
            assert await house.store.delete_expired(10) == 0
            house.clock.forward(60)
            with pytest.raises(NoSuchObject):
                await house.store.find(early.id)
            assert await house.store.delete_expired(10) == 1
            assert house.files() == [late.id]
            with pytest.raises(NoSuchObject):
                await house.read(early)
            assert await house.read(late) == b"late"

    asyncio.run(run())


def test_what_a_killed_process_left_of_a_write_is_swept_with_its_row() -> None:
    async def run() -> None:
        async with object_house() as house:
            stored = await house.store.put(pieces_of(b"whole"), key_id="key_1")
            (house.folder / f"{path_of(stored.id)}#1").write_bytes(b"half")
            house.clock.forward(RETENTION_S)
            assert await house.store.delete_expired(10) == 1
            assert house.files() == []

    asyncio.run(run())


def test_two_who_sweep_at_once_do_no_harm() -> None:
    async def run() -> None:
        async with object_house() as house:
            for _ in range(20):
                await house.store.put(pieces_of(b"x"), key_id="key_1")
            house.clock.forward(RETENTION_S)
            await asyncio.gather(*(house.store.delete_expired(100) for _ in range(4)))
            assert await rows(house) == 0
            assert house.files() == []

    asyncio.run(run())


def test_the_sweeper_goes_on_where_the_store_is_away_for_a_while() -> None:
    class Away(Folder):
        away = True

        async def remove(self, paths: Iterable[str]) -> None:
            if self.away:
                type(self).away = False
                raise StoreUnavailable("it is away")
            await super().remove(paths)

    async def run() -> None:
        async with object_house() as house:
            backend = Away(house.folder)
            store = ObjectStore(house.engine, house.clock, backend, RETENTION_S)
            await store.put(pieces_of(b"x"), key_id="key_1")
            house.clock.forward(RETENTION_S)
            sweeping = asyncio.create_task(sweep(store, pause_s=0.01))
            async with asyncio.timeout(20):
                while await rows(house):
                    await asyncio.sleep(0.01)
            sweeping.cancel()
            # It gives its connection back before the database is closed.
            await asyncio.wait([sweeping])
            assert house.files() == []

    asyncio.run(run())


def test_what_a_task_made_is_deleted_together_and_only_for_its_own_key() -> None:
    async def run() -> None:
        async with object_house() as house:
            for key, task in (
                ("key_1", "task_1"),
                ("key_1", "task_1"),
                ("key_1", "task_2"),
                ("key_2", "task_3"),
            ):
                await house.store.put(pieces_of(b"x"), key_id=key, task_id=task)
            assert await house.store.delete_of_task("task_3", "key_1") == 0
            assert await house.store.delete_of_task("task_1", "key_1") == 2
            assert await rows(house) == len(house.files()) == 2

    asyncio.run(run())


def test_a_backend_that_cannot_be_written_is_told_as_that() -> None:
    async def run() -> None:
        async with object_house() as house:
            (house.folder / "blocked").write_bytes(b"")
            backend = Folder(house.folder)
            with pytest.raises(StoreUnavailable):
                await backend.write("blocked/object", pieces_of(b"x"))
            # A path that leads out would be our own fault, and goes nowhere.
            with pytest.raises(ValueError, match=r"\.\."):
                await backend.write("../outside", pieces_of(b"x"))
            assert not (house.folder.parent / "outside").exists()

    asyncio.run(run())


def test_a_url_says_where_the_bytes_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(backend_at((tmp_path / "a folder").as_uri()), Folder)
    assert (tmp_path / "a folder").is_dir()
    for url in ("s3://bucket/prefix", "gs://bucket/prefix", "az://container/prefix"):
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
        assert type(backend_at(url)) is Backend
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME")
    with pytest.raises(StoreUnavailable, match="Account"):
        backend_at("az://container/prefix")
