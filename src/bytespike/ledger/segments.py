"""The spool's files as they lie on disk: finding them, checking them, and setting aside what cannot be used.

    <spool>/lock                    held by the process that owns the spool
    <spool>/000000000001.log        segments, numbered in the order in which they were written
    <spool>/quarantine/*.record     one framed settlement each that the database will never take
    <spool>/quarantine/*.bytes      what followed damage inside a segment

Nothing in the quarantine is read again by the gateway: an operator looks at it (`bytespike doctor` counts it).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import structlog

from bytespike.ledger.frames import HEADER_BYTES, RECORD_BYTES_MAX, frame_of, scan
from bytespike.ledger.stored import Fault, Frame

log = structlog.get_logger("bytespike.ledger")

QUARANTINE = "quarantine"
RECORD_SUFFIX = ".record"
BYTES_SUFFIX = ".bytes"
_SEGMENT_SUFFIX = ".log"
_NUMBER_DIGITS = 12
#: Read at once: always at least one whole frame.
CHUNK_BYTES = 4 * (RECORD_BYTES_MAX + HEADER_BYTES)
#: Frames of one chunk: more than it can hold.
_NO_LIMIT = CHUNK_BYTES
_NAME_BYTES = 8


class Segment:
    """One file. `size`: how much of it is known to be good. `records`: frames in that which are not drained."""

    __slots__ = ("number", "path", "records", "size")

    def __init__(self, directory: Path, number: int) -> None:
        self.number = number
        self.path = directory / f"{number:0{_NUMBER_DIGITS}d}{_SEGMENT_SUFFIX}"
        self.size = 0
        self.records = 0


def found_segments(directory: Path) -> list[Segment]:
    """The segments in a spool's directory, oldest first, not looked into yet. None if there is no such directory."""
    if not directory.is_dir():
        return []
    numbers = (
        int(path.stem)
        for path in directory.iterdir()
        if path.suffix == _SEGMENT_SUFFIX and path.stem.isdecimal()
    )
    return [Segment(directory, number) for number in sorted(numbers)]


def read_frames(path: Path) -> Iterator[Frame | Fault]:
    """Every frame of a file; then, if there is one, the fault behind the last."""
    with path.open("rb") as file:
        base = 0
        while data := os.pread(file.fileno(), CHUNK_BYTES, base):
            found = scan(data, _NO_LIMIT, base)
            yield from found.frames
            end = found.frames[-1].end if found.frames else base
            at_end = len(data) < CHUNK_BYTES
            if found.fault == "damaged" or (found.fault == "cut" and (at_end or end == base)):
                yield found.fault
                return
            base = end


def check(segment: Segment, directory: Path) -> None:
    """Find out how much of a segment is good and cut off the rest: a frame that its writer never finished is dropped,
    damage goes to the quarantine."""
    fault: Fault = ""
    for found in read_frames(segment.path):
        if isinstance(found, Frame):
            segment.size = found.end
            segment.records += 1
        else:
            fault = found
    if not fault:
        return
    rest = _read_from(segment.path, segment.size)
    if fault == "cut" or not rest.strip(b"\0"):
        log.warning(
            "spool.torn_tail_dropped", segment=segment.path.name, offset=segment.size, bytes=len(rest)
        )
    else:
        kept = set_bytes_aside(directory, rest)
        log.error(
            "spool.damaged", segment=segment.path.name, offset=segment.size, bytes=len(rest), kept=kept.name
        )
    os.truncate(segment.path, segment.size)


def set_record_aside(directory: Path, payload: bytes) -> Path:
    """Keep a settlement that cannot be drained. Named by its content, so that doing it twice makes one file."""
    return _keep(directory, frame_of(payload), RECORD_SUFFIX)


def set_bytes_aside(directory: Path, data: bytes) -> Path:
    """Keep damaged bytes."""
    return _keep(directory, data, BYTES_SUFFIX)


def _keep(directory: Path, data: bytes, suffix: str) -> Path:
    quarantine = directory / QUARANTINE
    quarantine.mkdir(mode=0o700, exist_ok=True)
    path = quarantine / (blake2b(data, digest_size=_NAME_BYTES).hexdigest() + suffix)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    return path


def _read_from(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read()
