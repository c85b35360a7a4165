from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bytespike.core.usage import Usage
from bytespike.ledger import spool as spool_module
from bytespike.ledger.frames import RECORD_BYTES_MAX, decode_payload, encode_frame
from bytespike.ledger.records import Attempt, Receipt, Settled
from bytespike.ledger.spool import DRAINED_KEPT_NS, Spool, SpoolLocked, sync_files
from bytespike.pricing.price import Price
from tests.support.ledger_house import HandClock

CLOCK = HandClock()


def spool(folder: Path, clock: HandClock = CLOCK, **options: int) -> Spool:
    opened = Spool(folder / "spool", clock.monotonic_ns, **options)
    opened.open()
    return opened


def attempt(number: int) -> Attempt:
    return Attempt(f"req_{number}", 0, number, "ch_1", "simulator", "m", 500, "failed", "upstream_error")


def record(number: int) -> Settled:
    return Settled(None, (attempt(number),))


def read_all(opened: Spool, at_once: int = 100) -> list[str]:
    """The request ids of everything that is not drained, which then is."""
    found: list[str] = []
    while (unread := opened.read(at_once)) is not None:
        found += [decode_payload(frame.payload).attempts[0].request_id for frame in unread.frames]
        opened.release(unread)
    return found


def ids(numbers: range) -> list[str]:
    return [f"req_{number}" for number in numbers]


def segments(opened: Spool) -> list[str]:
    return sorted(path.name for path in opened.directory.glob("*.log"))


def test_what_goes_in_comes_out_in_order(tmp_path: Path) -> None:
    opened = spool(tmp_path)
    for number in range(50):
        opened.append(record(number))
    assert opened.depth == 50
    assert read_all(opened, at_once=7) == ids(range(50))
    assert (opened.depth, opened.size_bytes) == (0, 0)
    assert opened.read(1) is None
    opened.close()


def test_a_settlement_survives_whole(tmp_path: Path) -> None:
    usage = Usage(
        1, 2, 3, 4, 5, 6, 7, 8, 9, exact=False, extras={"openai_chat": {"deep": [{"x": None}, 1.5]}}
    )
    receipt = Receipt(
        *(
            "r1",
            2**53,
            "k",
            "u",
            None,
            "wallet:user:u",
            1,
            "ch",
            "anthropic",
            "m",
            "mé\0☃",
            "up",
            "a",
            "b",
            True,
        ),
        *(
            usage,
            2**62,
            0,
            Price("row 7", 1, 2, 3, 4, 5, 6, 7),
            1_500_000,
            "client_gone",
            ("top_k: dropped",),
            1,
            2,
        ),
    )
    settled = Settled(receipt, (attempt(1), attempt(2)))
    found = decode_payload(encode_frame(settled)[8:])
    assert msgspec.to_builtins(found) == msgspec.to_builtins(settled)
    assert isinstance(found.receipt, Receipt)


def test_a_record_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    opened = spool(tmp_path)
    opened.append(record(1))
    path = opened.directory / segments(opened)[-1]
    assert path.read_bytes() == encode_frame(record(1))
    opened.close()


def test_the_next_owner_finds_what_was_not_drained(tmp_path: Path) -> None:
    first = spool(tmp_path)
    for number in range(10):
        first.append(record(number))
    unread = first.read(4)
    assert unread is not None
    first.release(unread)
    first.close()
    second = spool(tmp_path)
    # What was drained is found again too: the database knows what it has.
    assert second.depth == 10
    second.append(record(10))
    assert read_all(second) == ids(range(11))
    second.close()


def test_a_drained_spool_leaves_no_segments(tmp_path: Path) -> None:
    opened = spool(tmp_path)
    opened.append(record(1))
    read_all(opened)
    opened.close()
    assert segments(opened) == []


def test_segments_end_at_their_size_and_are_deleted_a_while_after_they_were_drained(tmp_path: Path) -> None:
    clock = HandClock()
    opened = spool(tmp_path, clock, segment_bytes_max=200)
    for number in range(20):
        opened.append(record(number))
    all_segments = segments(opened)
    assert len(all_segments) > 5
    assert read_all(opened, at_once=3) == ids(range(20))
    opened.tidy()
    assert segments(opened) == all_segments
    clock.ns += DRAINED_KEPT_NS
    opened.tidy()
    assert segments(opened) == all_segments[-1:]
    opened.append(record(20))
    assert read_all(opened) == ["req_20"]
    opened.close()


def test_a_segment_that_is_not_drained_is_not_deleted(tmp_path: Path) -> None:
    clock = HandClock()
    opened = spool(tmp_path, clock, segment_bytes_max=200)
    for number in range(20):
        opened.append(record(number))
    unread = opened.read(1)
    assert unread is not None
    opened.release(unread)
    clock.ns += DRAINED_KEPT_NS
    opened.tidy()
    assert read_all(opened) == ids(range(1, 20))
    opened.close()


def test_a_look_at_everything_undrained_moves_nothing(tmp_path: Path) -> None:
    opened = spool(tmp_path, segment_bytes_max=200)
    for number in range(20):
        opened.append(record(number))
    unread = opened.read(1)
    assert unread is not None
    opened.release(unread)
    for _ in range(2):
        seen = [decode_payload(payload).attempts[0].request_id for payload in opened.undrained()]
        assert seen == ids(range(1, 20))
    assert read_all(opened) == ids(range(1, 20))
    opened.close()


def test_a_second_owner_is_refused_by_name(tmp_path: Path) -> None:
    first = spool(tmp_path)
    with pytest.raises(SpoolLocked, match=rf"process {os.getpid()}\b.*DATA_DIR"):
        spool(tmp_path)
    first.append(record(1))
    first.close()
    spool(tmp_path).close()


def test_another_process_is_refused_too_and_the_dead_hold_no_lock(tmp_path: Path) -> None:
    script = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from bytespike.ledger.spool import Spool\n"
        "Spool(Path(sys.argv[1]), time.monotonic_ns).open()\n"
        "print('mine', flush=True)\n"
        "time.sleep(60)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "spool")], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    with owner, owner.stdout:
        assert owner.stdout.readline() == "mine\n"
        with pytest.raises(SpoolLocked, match=str(owner.pid)):
            spool(tmp_path)
        owner.kill()
    spool(tmp_path).close()


def test_a_record_that_is_too_large_or_cannot_be_written_is_refused_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    opened = spool(tmp_path)
    for wrong in (
        Settled(None, (Attempt("x" * RECORD_BYTES_MAX, 0, 0, "", "", "", 0, ""),)),
        Settled(None, (Attempt("x", 2**80, 0, "", "", "", 0, ""),)),
        Settled(None, (Attempt("x", object(), 0, "", "", "", 0, ""),)),
        Settled(None, (Attempt("\ud800", 0, 0, "", "", "", 0, ""),)),
    ):
        with pytest.raises(ValueError):
            opened.append(wrong)
    assert (opened.depth, opened.size_bytes) == (0, 0)
    opened.close()


class FullDisk:
    """Stands in for `os.write`: takes whole frames until it is full, then what fits, then nothing."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._write = os.write

    def __call__(self, fd: int, data: bytes) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(fd, data[: self.room])
        self.room -= written
        return written


def test_while_the_disk_is_full_records_wait_in_memory_and_are_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = spool(tmp_path, backlog_max=3)
    size = len(encode_frame(record(0)))
    disk = FullDisk(room=2 * size + size // 2)  # the third is cut in the middle
    monkeypatch.setattr(spool_module.os, "write", disk)
    for number in range(5):
        assert opened.available
        opened.append(record(number))
    assert (opened.backlog, opened.depth) == (3, 5)
    assert not opened.available
    assert [decode_payload(one).attempts[0].request_id for one in opened.undrained()] == ids(range(5))
    opened.retry()
    assert opened.backlog == 3
    disk.room = 1_000_000
    opened.retry()
    assert (opened.backlog, opened.depth, opened.available) == (0, 5, True)
    opened.append(record(5))
    assert read_all(opened) == ids(range(6))
    opened.close()


def test_a_cut_write_that_cannot_be_undone_starts_a_new_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = spool(tmp_path)
    size = len(encode_frame(record(0)))
    disk = FullDisk(room=size + 10)
    monkeypatch.setattr(spool_module.os, "write", disk)

    def stuck(_fd: int, _size: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(spool_module.os, "ftruncate", stuck)
        opened.append(record(0))
        opened.append(record(1))
    disk.room = 1_000_000
    opened.append(record(2))
    assert len(segments(opened)) == 2
    assert [decode_payload(one).attempts[0].request_id for one in opened.undrained()] == ids(range(3))
    opened.close()
    # The next owner meets the torn frame in the middle of the spool, and passes over it.
    second = spool(tmp_path)
    assert read_all(second) == ids(range(3))
    second.close()


def test_without_room_for_a_new_segment_the_old_one_is_written_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = spool(tmp_path, segment_bytes_max=200)
    opens = os.open

    def no_more_files(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return opens(path, flags, mode)

    with monkeypatch.context() as patch:
        patch.setattr(spool_module.os, "open", no_more_files)
        for number in range(20):
            opened.append(record(number))
        assert (len(segments(opened)), opened.backlog) == (1, 0)
    for number in range(20, 40):
        opened.append(record(number))
    assert len(segments(opened)) > 1
    assert read_all(opened) == ids(range(40))
    opened.close()


def test_what_was_written_is_forced_to_disk_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = spool(tmp_path, segment_bytes_max=200)
    sync_files(opened.unsynced())
    assert opened.unsynced() == []
    for number in range(20):
        opened.append(record(number))
    synced: list[int] = []
    monkeypatch.setattr(spool_module.os, "fsync", synced.append)
    fds = opened.unsynced()
    inodes = {os.fstat(fd).st_ino for fd in fds}
    assert {path.stat().st_ino for path in opened.directory.glob("*.log")} <= inodes
    sync_files(fds)
    assert synced == fds
    assert opened.unsynced() == []
    opened.close()


def test_with_sync_always_each_record_is_forced_to_disk_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(spool_module.os, "fdatasync", synced.append)
    opened = spool(tmp_path, sync_always=True)
    for number in range(3):
        opened.append(record(number))
    assert len(synced) == 3
    opened.close()


def test_the_spool_is_its_owners_alone(tmp_path: Path) -> None:
    opened = spool(tmp_path)
    assert opened.directory.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in opened.directory.iterdir())
    opened.close()


def test_closing_leaves_no_descriptors(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    opened = spool(tmp_path, segment_bytes_max=200)
    for number in range(20):
        opened.append(record(number))
    read_all(opened, at_once=3)
    opened.close()
    assert set(os.listdir("/proc/self/fd")) == before


def test_what_is_gathered_is_written_at_once_and_counts_until_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = spool(tmp_path)
    writes: list[int] = []
    real = os.write

    def write(fd: int, data: bytes) -> int:
        writes.append(len(data))
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    assert [opened.gather(record(number)) for number in range(3)] == [True, False, False]
    assert (writes, opened.depth, opened.read(1)) == ([], 3, None)
    assert len(list(opened.undrained())) == 3
    opened.flush()
    opened.flush()
    assert (len(writes), opened.depth) == (1, 3)
    assert read_all(opened) == ids(range(3))
    opened.close()


def test_a_record_that_is_durable_at_once_comes_behind_what_was_gathered(tmp_path: Path) -> None:
    opened = spool(tmp_path)
    opened.gather(record(0))
    opened.append(record(1))
    assert opened.gather(record(2))
    assert read_all(opened) == ids(range(2))
    opened.close()
    again = spool(tmp_path)
    assert read_all(again) == ids(range(3))
    again.close()


def test_a_gathering_that_the_disk_does_not_take_waits_in_memory_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = spool(tmp_path)
    real = os.write
    full = True

    def write(fd: int, data: bytes) -> int:
        if full:
            return real(fd, data[: len(data) // 2])
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    opened.gather(record(0))
    opened.gather(record(1))
    opened.flush()
    assert (opened.backlog, opened.depth) == (2, 2)
    opened.gather(record(2))
    opened.flush()
    assert (opened.backlog, opened.depth) == (3, 3)
    full = False
    opened.retry()
    assert (opened.backlog, read_all(opened)) == (0, ids(range(3)))
    opened.close()


def test_a_record_that_cannot_be_written_is_not_gathered(tmp_path: Path) -> None:
    opened = spool(tmp_path)
    huge = Settled(None, (msgspec.structs.replace(attempt(1), error="x" * RECORD_BYTES_MAX),))
    with pytest.raises(ValueError, match="bytes"):
        opened.gather(huge)
    assert opened.depth == 0
    opened.close()


def test_what_is_drained_is_in_memory_no_longer(tmp_path: Path) -> None:
    def alive() -> list[str]:
        gc.collect()
        held = (each for each in gc.get_objects() if isinstance(each, Settled))
        return sorted(name for each in held if (name := each.attempts[0].request_id).startswith("req_77"))

    opened = spool(tmp_path)
    for number in range(7700, 7705):
        opened.gather(record(number))
    opened.flush()
    assert alive() == ids(range(7700, 7705))
    first = opened.read(3)
    assert first is not None
    opened.release(first)
    del first
    assert alive() == ids(range(7703, 7705))
    read_all(opened)
    assert alive() == []
    opened.close()
