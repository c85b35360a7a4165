"""Objects in a bucket instead of a folder: the same rules, over S3's API."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from bytespike.media.objects.backends import PART_BYTES, StoreUnavailable, backend_at
from bytespike.media.objects.store import NoSuchObject, path_of
from tests.support.bucket_server import Bucket, bucket_server
from tests.support.media_gateway import MediaGateway
from tests.support.object_house import RETENTION_S, object_house, pieces_of
from tests.support.video_files import mp4

VIDEO = mp4(640, 360, 4.5) + random.Random(1).randbytes(2 * PART_BYTES + 12_345)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with bucket_server() as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.mark.parametrize("size", [0, 10, PART_BYTES, len(VIDEO)])
def test_what_was_put_comes_out_again(bucket: Bucket, size: int) -> None:
    async def run() -> None:
        async with object_house(backend_at("s3://bucket/media")) as house:
            stored = await house.store.put(pieces_of(VIDEO[:size]), key_id="key_1")
            assert bucket.objects == {f"media/{path_of(stored.id)}": VIDEO[:size]}
            assert await house.read(stored) == VIDEO[:size]
            assert await house.read(stored, 3, 9) == VIDEO[:size][3:9]

    asyncio.run(run())
    assert bucket.unsigned == 0
    assert bucket.uploads == {}
    # Never whole in memory: a large one comes in parts.
    assert bucket.largest_part <= PART_BYTES + 1024 * 1024


def test_what_has_expired_is_deleted_there(bucket: Bucket) -> None:
    async def run() -> None:
        async with object_house(backend_at("s3://bucket")) as house:
            stored = await house.store.put(pieces_of(VIDEO), key_id="key_1")
            house.clock.forward(RETENTION_S)
            assert await house.store.delete_expired(10) == 1
            assert bucket.objects == {}
            with pytest.raises(NoSuchObject):
                await house.read(stored)

    asyncio.run(run())


def test_a_stream_that_breaks_leaves_no_object(bucket: Bucket) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        async for piece in pieces_of(VIDEO):
            yield piece
        raise ConnectionResetError

    async def run() -> None:
        async with object_house(backend_at("s3://bucket")) as house:
            with pytest.raises(ConnectionResetError):
                await house.store.put(breaking(), key_id="key_1")

    asyncio.run(run())
    assert bucket.objects == {}


def test_a_bucket_that_refuses_is_told_as_that(bucket: Bucket) -> None:
    async def run() -> None:
        async with object_house(backend_at("s3://bucket")) as house:
            stored = await house.store.put(pieces_of(b"x"), key_id="key_1")
            bucket.failing = True
            with pytest.raises(StoreUnavailable):
                await house.store.put(pieces_of(b"x"), key_id="key_1")
            with pytest.raises(StoreUnavailable):
                await house.read(stored)
            house.clock.forward(RETENTION_S)
            with pytest.raises(StoreUnavailable):
                await house.store.delete_expired(10)
            bucket.failing = False
            assert await house.store.delete_expired(10) == 2
            assert bucket.objects == {}

    asyncio.run(run())


@pytest.mark.slow
def test_a_gateway_keeps_its_videos_in_a_bucket(
    bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bucket")
    with MediaGateway(folder, object_store_url="s3://bucket/videos") as gateway:
        task = gateway.ended(gateway.submitted(model="sora2", prompt="a cat")["task_id"])
        assert task["status"] == "completed"
        (kept,) = bucket.objects.values()
        target = gateway.path_of(task["output"][0]["url"])
        assert gateway.request("GET", target).body == kept
        part = gateway.request("GET", target, headers={"range": "bytes=10-19"})
        assert (part.status, part.body) == (206, kept[10:20])
        bucket.failing = True
        assert gateway.request("GET", target).status == 500
    assert not (folder / "objects").exists()
