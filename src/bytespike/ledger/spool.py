"""The spool: what was delivered is on this machine's disk before its last byte reaches the client.

Guarantee. When `append` returns, the record has been handed to the operating system: no death of this process loses it,
`kill -9` included. Once a process that owned the spool has died, the next owner finds every record that was appended,
in order. A power cut may lose what was appended since the last `fdatasync` (an interval that is a setting; with
`sync_always` nothing).

How. Records are framed (`frames.py`) and appended to a segment file with one `write`, for all of them
that are ready in the same turn of the event loop: measured at 2 us, against 15 us for an insert and commit into a local
database. A full segment is closed and the next one begun. Whoever drains
reads at `drained`, the position up to which everything is in the database, and moves it by `release`; a segment that
lies behind it is deleted, a while later, for the database's own last commits may not survive a power cut either. Nothing
is written down about `drained`: a new owner drains what it finds again, and the database knows what it has already.

Each owner begins a new segment, so that nothing is ever written behind a torn tail.

Disk full. A record that cannot be written stays in memory, `append` returns, and the write is tried again with each
further record and by `retry`. A crash in that state loses those records, so it is bounded: with `backlog_max` of them
`available` is false, and the ledger takes no more holds.

One process. A lock on a file in the directory keeps a second gateway out. The kernel gives it back when its owner dies.
A spool has an id for as long as its directory exists: by it its owner is known to others.
"""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from bytespike import ids
from bytespike.ledger.frames import HEADER_BYTES, encode_frame, scan
from bytespike.ledger.records import Settled
from bytespike.ledger.segments import (
    CHUNK_BYTES,
    Segment,
    check,
    found_segments,
    set_bytes_aside,
    set_record_aside,
)
from bytespike.ledger.stored import Frame

log = structlog.get_logger("bytespike.ledger")

SEGMENT_BYTES_MAX = 4 * 1024 * 1024
#: Records in memory while the disk takes none.
BACKLOG_MAX = 10_000
#: Records that are remembered after they were written, so that draining them soon needs no reading.
REMEMBERED_MAX = 4_096
#: How long a drained segment is kept, against a power cut. Kernels write dirty pages back within 30 s.
DRAINED_KEPT_NS = 60 * 1_000_000_000

_LOCK = "lock"
_ID = "id"
#: Written into the lock's file by a process that only empties the spool, and will soon let go of it.
_ADOPTING = b"adopted by "
_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700


class SpoolLocked(Exception):
    """Another process owns this spool. `adopted`: it only drains it, and will soon let go."""

    def __init__(self, message: str, *, adopted: bool = False) -> None:
        super().__init__(message)
        self.adopted = adopted


class Position(NamedTuple):
    """A place in the spool: a segment's number and an offset into it."""

    segment: int
    offset: int


class Unread(NamedTuple):
    """Some records of one segment, in order."""

    segment: int
    frames: Sequence[Frame]

    @property
    def end(self) -> Position:
        """The position behind them."""
        return Position(self.segment, self.frames[-1].end)


class Spool:
    """`directory` is made when it is missing. `monotonic_ns` is the clock's."""

    def __init__(
        self,
        directory: Path,
        monotonic_ns: Callable[[], int],
        *,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        backlog_max: int = BACKLOG_MAX,
        sync_always: bool = False,
    ) -> None:
        self.directory = directory.absolute()
        self._monotonic_ns = monotonic_ns
        self._segment_bytes_max = segment_bytes_max
        self._backlog_max = backlog_max
        self._sync_always = sync_always
        self._lock_fd = -1
        self._fd = -1
        self._segments: deque[Segment] = deque()  # oldest first; the last one is written to
        self._done: deque[tuple[int, Segment]] = deque()  # drained, and when
        self._backlog: deque[bytes] = deque()
        self._gathered: list[tuple[bytes, Settled]] = []  # frames that wait for `flush`, and what they hold
        #: What was written last, in order: the segment, the offset at which the frame begins, the frame.
        self._remembered: deque[tuple[int, int, Frame]] = deque()
        self._unsynced: list[int] = []  # closed segments' and the directory's descriptors
        self._dirty = False
        self._failing = False
        self._reading: tuple[int, int] | None = None  # segment number, descriptor
        self._roll_at = segment_bytes_max  # the size at which the newest segment is full
        self.drained = Position(0, 0)
        self.id = ""

    # --- opening and closing ---------------------------------------------------------------------------------------

    def open(self, *, adopting: bool = False) -> None:
        """Take the spool over and check what is in it. `adopting`: only to drain it. Raises `SpoolLocked`, OSError."""
        self.directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        self._lock_fd = _locked(self.directory / _LOCK, adopting)
        self.id = _identity(self.directory / _ID)
        for segment in found_segments(self.directory):
            check(segment, self.directory)
            self._segments.append(segment)
        newest = self._segments[-1].number if self._segments else 0
        self._begin(newest + 1)
        self.drained = Position(self._segments[0].number, 0)

    def close(self) -> None:
        """Let go of the spool. Delete what is drained; what is not stays for the next owner."""
        self.flush()
        for segment in [segment for _, segment in self._done]:
            segment.path.unlink(missing_ok=True)
        self._done.clear()
        if self._segments and self.depth == 0 and not self._backlog:
            for segment in self._segments:
                segment.path.unlink(missing_ok=True)
        self._segments.clear()
        self._remembered.clear()
        if self._reading is not None:
            os.close(self._reading[1])
            self._reading = None
        for fd in (*self._unsynced, self._fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self._unsynced = []
        self._fd = self._lock_fd = -1

    # --- writing ---------------------------------------------------------------------------------------------------

    @property
    def available(self) -> bool:
        """Whether further work may be taken on."""
        return len(self._backlog) < self._backlog_max

    @property
    def backlog(self) -> int:
        """Records in memory that the disk has not taken."""
        return len(self._backlog)

    @property
    def depth(self) -> int:
        """Records that are not drained, those in memory included."""
        return sum(segment.records for segment in self._segments) + len(self._backlog) + len(self._gathered)

    @property
    def size_bytes(self) -> int:
        """Bytes in segments that are not drained."""
        total = sum(segment.size for segment in self._segments)
        return total - self.drained.offset if self._segments else 0

    @property
    def tail(self) -> Position:
        """The end of what is written."""
        newest = self._segments[-1]
        return Position(newest.number, newest.size)

    def append(self, settled: Settled) -> None:
        """Add one record. On return it survives the death of this process, or waits in memory for the disk to have
        room. Raises ValueError, and has added nothing: the record cannot be written at all."""
        self.gather(settled)
        self.flush()

    def gather(self, settled: Settled) -> bool:
        """Add one record that is to be written with others, by `flush`: True for the first of them. Raises as `append`."""
        self._gathered.append((encode_frame(settled), settled))
        return len(self._gathered) == 1

    def flush(self) -> None:
        """Write what was gathered, at once. On return it survives the death of this process, or waits in memory."""
        gathered = self._gathered
        if not gathered:
            return
        self._gathered = []
        frames = [frame for frame, _ in gathered]
        if self._backlog or not self._write(b"".join(frames), len(frames)):
            self._backlog.extend(frames)
            self.retry()
        else:
            self._remember(gathered)

    def _remember(self, written: list[tuple[bytes, Settled]]) -> None:
        """These are the last that the newest segment has."""
        segment = self._segments[-1]
        remembered = self._remembered
        start = segment.size - sum(len(frame) for frame, _ in written)
        for frame, settled in written:
            end = start + len(frame)
            remembered.append((segment.number, start, Frame(frame[HEADER_BYTES:], end, settled)))
            start = end
        while len(remembered) > REMEMBERED_MAX:
            remembered.popleft()

    def _recalled(self, records_max: int) -> Unread | None:
        """The oldest records that are not drained, at most so many, if they are remembered."""
        segment, offset = self.drained
        remembered = self._remembered
        if not remembered or remembered[0][0] != segment or remembered[0][1] != offset:
            return None
        frames: list[Frame] = []
        for number, start, frame in remembered:
            if number != segment or start != offset or len(frames) == records_max:
                break
            frames.append(frame)
            offset = frame.end
        return Unread(segment, frames)

    def _forget(self) -> None:
        """What is drained need not be remembered."""
        remembered = self._remembered
        while remembered and (remembered[0][0], remembered[0][1]) < self.drained:
            remembered.popleft()

    def retry(self) -> None:
        """Write what waits in memory, as far as the disk takes it."""
        backlog = self._backlog
        if not backlog:
            return
        while backlog and self._write(backlog[0], 1):
            backlog.popleft()
        if not backlog:
            log.warning("spool.writable_again", directory=str(self.directory))

    def _write(self, frames: bytes, count: int) -> bool:
        """Append so many frames to the newest segment; False if the disk does not take them whole."""
        segment = self._segments[-1]
        if segment.size >= self._roll_at:
            segment = self._roll(segment)
        try:
            written = os.write(self._fd, frames)
            if written < len(frames):
                self._failed("short write")
                # What is there of it must not stay: the next frame comes behind the last whole one.
                os.ftruncate(self._fd, segment.size)
                return False
            if self._sync_always:
                os.fdatasync(self._fd)
        except OSError as error:
            self._failed(error.strerror or str(error))
            self._abandon_if_torn(segment)
            return False
        self._failing = False
        self._dirty = True
        segment.size += written
        segment.records += count
        return True

    def _failed(self, reason: str) -> None:
        if not self._failing:
            log.error("spool.write_failed", directory=str(self.directory), reason=reason)
        self._failing = True

    def _abandon_if_torn(self, segment: Segment) -> None:
        """After a failed write: if the file is not as long as it should be, and cannot be made so, begin another."""
        try:
            if os.fstat(self._fd).st_size != segment.size:
                os.ftruncate(self._fd, segment.size)
        except OSError:
            self._roll(segment)

    def _roll(self, full: Segment) -> Segment:
        """Begin the next segment. Where that is impossible the old one is written on: too long is better than lost."""
        old = self._fd
        try:
            self._begin(full.number + 1)
        except OSError as error:
            log.error("spool.no_new_segment", directory=str(self.directory), reason=error.strerror)
            self._roll_at = full.size + self._segment_bytes_max
            return full
        self._unsynced.append(old)
        return self._segments[-1]

    def _begin(self, number: int) -> None:
        segment = Segment(self.directory, number)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        directory_fd = os.open(self.directory, os.O_RDONLY)
        try:
            self._fd = os.open(segment.path, flags, _FILE_MODE)
        except OSError:
            os.close(directory_fd)
            raise
        self._unsynced.append(directory_fd)
        self._segments.append(segment)
        self._roll_at = self._segment_bytes_max

    def unsynced(self) -> list[int]:
        """Descriptors of files that have been written since the last call, for `sync_files`, which closes them."""
        fds = self._unsynced
        self._unsynced = []
        if self._dirty:
            self._dirty = False
            fds.append(os.dup(self._fd))
        return fds

    # --- draining --------------------------------------------------------------------------------------------------

    def read(self, records_max: int) -> Unread | None:
        """The oldest records that are not drained, of one segment, at most so many. None when there are none."""
        while True:
            recalled = self._recalled(records_max)
            if recalled is not None:
                return recalled
            segment = self._segments[0]
            offset = self.drained.offset
            size = min(CHUNK_BYTES, segment.size - offset)
            if size > 0:
                frames, fault = scan(os.pread(self._reader(segment), size, offset), records_max, offset)
                if frames:
                    return Unread(segment.number, frames)
                self._set_damage_aside(segment, offset, fault)
            if len(self._segments) == 1:
                return None
            self._leave_segment()

    def undrained(self) -> Iterator[bytes]:
        """Every payload that is not drained, those in memory included. For the rare reader: it reads them all."""
        offset = self.drained.offset
        for segment in self._segments:
            with segment.path.open("rb") as file:
                while offset < segment.size:
                    data = os.pread(file.fileno(), min(CHUNK_BYTES, segment.size - offset), offset)
                    frames = scan(data, len(data), offset).frames
                    if not frames:
                        break  # damage, which whoever drains will meet
                    yield from (frame.payload for frame in frames)
                    offset = frames[-1].end
            offset = 0
        for frame in (*self._backlog, *(frame for frame, _ in self._gathered)):
            yield frame[HEADER_BYTES:]

    def release(self, done: Unread) -> None:
        """These, the oldest that were read, are in the database, or set aside."""
        self.drained = done.end
        self._segments[0].records -= len(done.frames)
        self._forget()

    def tidy(self) -> None:
        """Delete segments that have been drained for long enough; at once where the disk is full."""
        while len(self._segments) > 1 and self.drained.offset >= self._segments[0].size:
            self._leave_segment()
        oldest_kept = self._monotonic_ns() - (0 if self._backlog else DRAINED_KEPT_NS)
        while self._done and self._done[0][0] <= oldest_kept:
            self._done.popleft()[1].path.unlink(missing_ok=True)

    def set_aside(self, payload: bytes) -> None:
        """Keep a record that the database will never take in the quarantine. Raises OSError."""
        set_record_aside(self.directory, payload)

    def _reader(self, segment: Segment) -> int:
        if self._reading is None or self._reading[0] != segment.number:
            if self._reading is not None:
                os.close(self._reading[1])
            self._reading = (segment.number, os.open(segment.path, os.O_RDONLY))
        return self._reading[1]

    def _leave_segment(self) -> None:
        self._done.append((self._monotonic_ns(), self._segments.popleft()))
        self.drained = Position(self._segments[0].number, 0)

    def _set_damage_aside(self, segment: Segment, offset: int, fault: str) -> None:
        """A segment that was whole when it was written or checked no longer is."""
        data = os.pread(self._reader(segment), segment.size - offset, offset)
        kept = set_bytes_aside(self.directory, data)
        log.error("spool.damaged", segment=segment.path.name, offset=offset, fault=fault, kept=kept.name)
        segment.records = 0
        self.drained = Position(segment.number, segment.size)
        self._forget()


def sync_files(fds: list[int]) -> None:
    """Force files to disk and close them. Blocks: for a thread."""
    for fd in fds:
        try:
            os.fsync(fd)
        except OSError as error:
            log.error("spool.sync_failed", reason=error.strerror)
        finally:
            os.close(fd)


def spool_id(directory: Path) -> str | None:
    """The id of the spool in a directory; None if there is none."""
    try:
        return (directory / _ID).read_text("ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _identity(path: Path) -> str:
    """The spool's id, made at its first opening. The caller holds its lock."""
    found = spool_id(path.parent)
    if found is None:
        found = ids.ulid()
        part = path.with_suffix(".part")
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE_MODE)
        try:
            os.write(fd, found.encode() + b"\n")
        finally:
            os.close(fd)
        part.rename(path)
    return found


def _locked(path: Path, adopting: bool) -> int:
    """A descriptor that holds the lock for as long as it is open. Raises `SpoolLocked`."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, _FILE_MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        written = os.read(fd, 32)
        os.close(fd)
        owner = written.removeprefix(_ADOPTING).decode(errors="replace").strip()
        raise SpoolLocked(
            f"the spool in {path.parent} belongs to a gateway that is running (process {owner or 'unknown'}); "
            "stop it, or give this one another DATA_DIR",
            adopted=written.startswith(_ADOPTING),
        ) from None
    os.ftruncate(fd, 0)
    os.write(fd, (_ADOPTING if adopting else b"") + b"%d\n" % os.getpid())
    return fd
