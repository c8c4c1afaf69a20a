"""How a job's log is shown while it grows: as it is, or an object a line."""

import json
import time
from pathlib import PurePosixPath
from typing import IO

from hpcbrew import layout
from hpcbrew.cli.output import DETACHED, say, warn
from hpcbrew.errors import TransportError
from hpcbrew.job import JobRecord
from hpcbrew.track.follow import looks
from hpcbrew.track.lasting import lasting, wait
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.log_tail import BACK, Lines, LogTail
from hpcbrew.track.refresh import Site, TrackedJob

LOOK = 1.2
"""Seconds between two looks at a log that is followed, such that a line is shown within 1.5 s. Over one session they
cost a cluster less than a login shell every few seconds."""


def show(
    site: Site, path: PurePosixPath, out: IO[bytes], *, lines: int | None, record: JobRecord | None = None
) -> bool:
    """Writes what a log holds up to now, or its last `lines`; with `record`, as one object, the job's. Whether there is
    such a log."""
    reader = site.transport.reader()
    try:
        log = LogTail(reader, path)
        if lines is not None:
            skip(log, lines)
        shown = _Bytes(out) if record is None else _Object(out, record, path)
        for piece in log.grown():
            shown.write(piece)
        if log.found or record is not None:
            shown.end(None)
        return log.found
    finally:
        reader.close()


def skip(log: LogTail, lines: int) -> None:
    """Leaves out all but the last `lines`."""
    if not log.skip_to_last(lines):
        warn(f"the last {lines} lines are longer than {BACK // 2**20} MiB: the log is shown from there on")


def follow(
    record: JobRecord,
    site: Site,
    ledger: Ledger,
    path: PurePosixPath,
    out: IO[bytes],
    *,
    lines: int | None = None,
    as_json: bool = False,
) -> int:
    """Writes what the log holds, or its last `lines`, and what it grows by. Returns the job's exit status.

    As JSON, each line is an object as it comes, and the last is the job. Ctrl-C leaves the job to itself: 130.
    """
    followed = _Followed(record, site, path, _Objects(out) if as_json else _Bytes(out))
    told: set[object] = set()

    def tell(what: object, note: str) -> None:
        if what not in told:
            warn(note)
            told.add(what)

    try:
        if lines is not None:
            skip(followed.log, lines)
        followed.news()
        followed.reader.close()
        for tracked in looks(record, site, ledger, warn, followed.rest):
            followed.news()
            if tracked.trouble:
                tell(tracked.trouble, f"{record.cluster} could not be asked: {tracked.trouble}")
            if not followed.log.found:
                tell(tracked.record.status.state.final, missing(tracked.record, path))
        followed.shown.end(tracked)
        return tracked.record.status.shell_status
    except KeyboardInterrupt:
        say("\nThe job goes on.", err=True)
        return DETACHED
    finally:
        followed.reader.close()


class _Followed:
    """A log that is shown as it grows, between two looks at its job."""

    def __init__(self, record: JobRecord, site: Site, path: PurePosixPath, shown: "_Bytes") -> None:
        self.reader, self.shown = site.transport.reader(), shown
        self.log = LogTail(self.reader, path, warn)
        self._exit = record.run_folder / layout.EXIT

    def news(self) -> None:
        """Shows what is new."""
        for piece in self.log.grown():
            self.shown.write(piece)

    def rest(self, seconds: float, step: float) -> None:
        """Shows what is new again and again, as `follow.Rest`. The session is let go at the end: some servers let one
        in at a time."""
        begun = looked = time.monotonic()
        while (left := begun + seconds - time.monotonic()) > 0:
            wait(min(LOOK, step, left))
            self.news()
            if time.monotonic() - looked >= step:
                looked = time.monotonic()
                if lasting(self._ended, warn):
                    break
        self.reader.close()

    def _ended(self) -> bool:
        try:
            return self.reader.read(self._exit, 0, 0) is not None
        except TransportError as error:
            if error.retryable:
                raise
            return False  # it is no file: the scheduler is asked in its turn


def missing(record: JobRecord, path: PurePosixPath) -> str:
    """What to say of a log that is not there."""
    status = record.status
    if record.is_array:
        return f"{record.name} is an array of jobs, each with its own log, as hpcbrew logs '{record.name}[1]'"
    yet, reason = "" if status.state.final else " yet", f" ({status.reason})" if status.reason else ""
    return f"{record.name} has written no {path.name}{yet}; it is {status.state}{reason}"


class _Bytes:
    """The log as it is."""

    def __init__(self, out: IO[bytes]) -> None:
        self.out = out

    def write(self, data: bytes) -> None:
        self.out.write(data)
        self.out.flush()

    def end(self, tracked: TrackedJob | None) -> None: ...


class _Objects(_Bytes):
    """An object a line. A line that is not whole yet, which may end within a character, waits for its end."""

    def __init__(self, out: IO[bytes]) -> None:
        super().__init__(out)
        self.lines = Lines()

    def write(self, data: bytes) -> None:
        for line, whole in self.lines.whole(data):
            self.out.write(_object(line, whole=whole))
        self.out.flush()

    def end(self, tracked: TrackedJob | None) -> None:
        rest = self.lines.rest()
        job = json.dumps(tracked.as_json()).encode() + b"\n" if tracked else b""
        super().write((_object(rest) if rest else b"") + job)


def _object(line: bytes, *, whole: bool = True) -> bytes:
    """`cut`: of a line that is too long to be kept, a part, and the next object goes on with it."""
    cut = {} if whole else {"cut": True}
    return json.dumps({"line": line.decode(errors="replace"), **cut}).encode() + b"\n"


class _Object(_Bytes):
    """The job, with the lines as a list: written as they come."""

    def __init__(self, out: IO[bytes], record: JobRecord, path: PurePosixPath) -> None:
        super().__init__(out)
        self.lines = Lines()
        self.before = b""
        head = json.dumps({**record.as_json(), "log": str(path)}, indent=2).removesuffix("\n}")
        out.write(head.encode() + b',\n  "lines": [')

    def write(self, data: bytes) -> None:
        for line, _ in self.lines.whole(data):
            self._line(line)
        self.out.flush()

    def _line(self, line: bytes) -> None:
        self.out.write(self.before + b"\n    " + json.dumps(line.decode(errors="replace")).encode())
        self.before = b","

    def end(self, tracked: TrackedJob | None) -> None:
        if rest := self.lines.rest():
            self._line(rest)
        super().write((b"\n  " if self.before else b"") + b"]\n}\n")
