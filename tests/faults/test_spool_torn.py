"""Whatever is at the end of a segment, everything before it is found, and nothing that is not a record is taken for one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bytespike.ledger.frames import HEADER_BYTES, RECORD_BYTES_MAX, decode_payload, encode_frame, scan
from bytespike.ledger.records import Attempt, Settled
from bytespike.ledger.segments import CHUNK_BYTES, QUARANTINE, read_frames
from bytespike.ledger.spool import Spool
from bytespike.ledger.stored import Frame


def frame(number: int, padding: int = 0) -> bytes:
    name = f"req_{number}" + "x" * padding
    return encode_frame(Settled(None, (Attempt(name, 0, number, "ch", "p", "m", 500, "failed"),)))


def recovered(folder: Path, *segments: bytes) -> list[int]:
    """The numbers of the records that a new owner finds in these segments, and that it finds again after a restart."""
    for number, data in enumerate(segments, 1):
        (folder / f"{number:012d}.log").write_bytes(data)
    found = drained(folder, keep=True)
    assert drained(folder, keep=False) == found
    return found


def drained(folder: Path, *, keep: bool) -> list[int]:
    spool = Spool(folder, time.monotonic_ns)
    spool.open()
    if keep:
        found = [decode_payload(payload).attempts[0].at for payload in spool.undrained()]
        spool.close()
        return found
    found = []
    while (unread := spool.read(3)) is not None:
        found += [decode_payload(one.payload).attempts[0].at for one in unread.frames]
        spool.release(unread)
    assert spool.depth == 0
    spool.close()
    return found


def quarantine(folder: Path) -> list[bytes]:
    kept = folder / QUARANTINE
    return [path.read_bytes() for path in sorted(kept.iterdir())] if kept.is_dir() else []


def test_a_segment_cut_at_any_byte_of_its_last_record_loses_that_record_alone(tmp_path: Path) -> None:
    whole = frame(1) + frame(2)
    last = frame(3)
    for cut in range(len(last)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        assert recovered(folder, whole + last[:cut]) == [1, 2]
        assert quarantine(folder) == []
    folder = tmp_path / "whole"
    folder.mkdir()
    assert recovered(folder, whole + last) == [1, 2, 3]


def test_a_cut_tail_is_taken_off_so_that_nothing_is_written_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "000000000001.log"
    path.write_bytes(frame(1) + frame(2)[:-1])
    spool = Spool(tmp_path, time.monotonic_ns)
    spool.open()
    assert path.read_bytes() == frame(1)
    spool.append(Settled(None, (Attempt("req_9", 0, 9, "ch", "p", "m", 500, "failed"),)))
    assert [decode_payload(payload).attempts[0].at for payload in spool.undrained()] == [1, 9]
    spool.close()


def test_a_cut_in_an_older_segment_does_not_hide_the_newer_ones(tmp_path: Path) -> None:
    assert recovered(tmp_path, frame(1) + frame(2)[:9], frame(3), b"", frame(4)[:3], frame(5)) == [1, 3, 5]


@pytest.mark.parametrize("zeros", [1, 7, 8, 9, 4096])
def test_zeros_behind_the_records_are_no_records(tmp_path: Path, zeros: int) -> None:
    assert recovered(tmp_path, frame(1) + b"\0" * zeros) == [1]
    assert quarantine(tmp_path) == []


def test_a_changed_byte_anywhere_in_a_record_is_noticed(tmp_path: Path) -> None:
    good, last = frame(1), frame(2)
    for at in range(len(last)):
        changed = bytearray(last)
        changed[at] ^= 0x40
        folder = tmp_path / str(at)
        folder.mkdir()
        assert recovered(folder, good + bytes(changed)) == [1]


def test_damage_is_kept_for_an_operator_with_all_that_follows_it(tmp_path: Path) -> None:
    damaged = bytearray(frame(2))
    damaged[HEADER_BYTES + 3] ^= 1
    assert recovered(tmp_path, frame(1) + damaged + frame(3), frame(4)) == [1, 4]
    assert quarantine(tmp_path) == [bytes(damaged) + frame(3)]


def test_an_impossible_length_is_damage_not_a_record_to_wait_for(tmp_path: Path) -> None:
    for length in (0, RECORD_BYTES_MAX + 1, 2**32 - 1):
        data = length.to_bytes(4, "little") + b"\x01" * 60
        assert scan(data, 10, 0).fault == "damaged"


def test_records_that_lie_across_the_pieces_in_which_a_file_is_read_are_found(tmp_path: Path) -> None:
    big = [frame(number, padding=RECORD_BYTES_MAX - 100 - number * 7) for number in range(12)]
    assert sum(map(len, big)) > 2 * CHUNK_BYTES
    assert recovered(tmp_path, b"".join(big) + big[0][:-5]) == list(range(12))


def test_every_prefix_of_a_segment_reads_as_its_whole_records(tmp_path: Path) -> None:
    frames = [frame(number) for number in range(4)]
    data = b"".join(frames)
    ends = [sum(map(len, frames[:count])) for count in range(5)]
    path = tmp_path / "prefix"
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        found = list(read_frames(path))
        whole = [one for one in found if isinstance(one, Frame)]
        assert [one.end for one in whole] == [end for end in ends[1:] if end <= size]
        assert found[len(whole) :] == ([] if size in ends else ["cut"])
