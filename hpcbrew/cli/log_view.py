"""Shows a job's log as it grows: as it is, or as one JSON object per line."""

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
"""Seconds between two reads of a followed log, so that a line is shown within 1.5 s. Made over one session, these reads
cost a cluster less than a new login shell every few seconds would."""


def show(
    site: Site, path: PurePosixPath, out: IO[bytes], *, lines: int | None, record: JobRecord | None = None
) -> bool:
    """Writes what a log holds so far, or its last `lines`; with `record`, as part of one JSON object, the job's.
    Returns whether the log exists."""
    reader = site.transport.reader()
    try:
        log = LogTail(reader, path)
        if lines is not None:
            skip(log, lines)
        writer = _Bytes(out) if record is None else _Object(out, record, path)
        for piece in log.grown():
            writer.write(piece)
        if log.found or record is not None:
            writer.end(None)
        return log.found
    finally:
        reader.close()


def skip(log: LogTail, lines: int) -> None:
    """Skips all but the last `lines`."""
    if not log.skip_to_last(lines):
        warn(f"the last {lines} lines are longer than {BACK // 2**20} MiB: only the last {BACK // 2**20} MiB are shown")


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
    """Writes what the log holds, or its last `lines`, and then what is appended. Returns the job's exit status.

    As JSON, each line becomes an object as it arrives, and the last object is the job. Ctrl-C detaches from the job,
    which goes on, and returns 130.
    """
    view = _LogView(record, site, path, _Objects(out) if as_json else _Bytes(out))
    warned: set[object] = set()

    def tell(subject: object, note: str) -> None:
        if subject not in warned:
            warn(note)
            warned.add(subject)

    try:
        if lines is not None:
            skip(view.log, lines)
        view.news()
        view.reader.close()
        for tracked in looks(record, site, ledger, warn, view.rest):
            view.news()
            if tracked.trouble:
                tell(tracked.trouble, f"{record.cluster} could not be asked: {tracked.trouble}")
            if not view.log.found:
                tell(tracked.record.status.state.final, missing(tracked.record, path))
        view.writer.end(tracked)
        return tracked.record.status.shell_status
    except KeyboardInterrupt:
        say("\nThe job goes on.", err=True)
        return DETACHED
    finally:
        view.reader.close()


class _LogView:
    """A log that is shown as it grows, between two queries of its job's state."""

    def __init__(self, record: JobRecord, site: Site, path: PurePosixPath, writer: "_Bytes") -> None:
        self.reader, self.writer = site.transport.reader(), writer
        self.log = LogTail(self.reader, path, warn)
        self._exit = record.run_folder / layout.EXIT

    def news(self) -> None:
        """Shows what is new."""
        for piece in self.log.grown():
            self.writer.write(piece)

    def rest(self, seconds: float, step: float) -> None:
        """A `follow.Rest` that keeps showing what is new. It closes the session at the end, since some servers allow
        only one at a time."""
        start = last_look = time.monotonic()
        while (remaining := start + seconds - time.monotonic()) > 0:
            wait(min(LOOK, step, remaining))
            self.news()
            if time.monotonic() - last_look >= step:
                last_look = time.monotonic()
                if lasting(self._ended, warn):
                    break
        self.reader.close()

    def _ended(self) -> bool:
        try:
            return self.reader.read(self._exit, 0, 0) is not None
        except TransportError as error:
            if error.retryable:
                raise
            return False  # not a regular file: the scheduler is asked when its turn comes


def missing(record: JobRecord, path: PurePosixPath) -> str:
    """Returns the message for a log that does not exist."""
    status = record.status
    if record.is_array:
        return f"{record.name} is an array of jobs, each with its own log: try hpcbrew logs '{record.name}[1]'"
    yet, reason = "" if status.state.final else " yet", f" ({status.reason})" if status.reason else ""
    return f"{record.name} has written no {path.name}{yet}; it is {status.state}{reason}"


class _Bytes:
    """Writes the log as it is."""

    def __init__(self, out: IO[bytes]) -> None:
        self.out = out

    def write(self, data: bytes) -> None:
        self.out.write(data)
        self.out.flush()

    def end(self, tracked: TrackedJob | None) -> None: ...


class _Objects(_Bytes):
    """Writes one object per line. An incomplete line, which may end in the middle of a character, is held back until it
    is complete."""

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
    """`cut` marks a part of a line that is too long to be held; the next object continues the line."""
    cut = {} if whole else {"cut": True}
    return json.dumps({"line": line.decode(errors="replace"), **cut}).encode() + b"\n"


class _Object(_Bytes):
    """Writes the job as one object with its lines as a list, each as it arrives."""

    def __init__(self, out: IO[bytes], record: JobRecord, path: PurePosixPath) -> None:
        super().__init__(out)
        self.lines = Lines()
        self.separator = b""
        head = json.dumps({**record.as_json(), "log": str(path)}, indent=2).removesuffix("\n}")
        out.write(head.encode() + b',\n  "lines": [')

    def write(self, data: bytes) -> None:
        for line, _ in self.lines.whole(data):
            self._line(line)
        self.out.flush()

    def _line(self, line: bytes) -> None:
        self.out.write(self.separator + b"\n    " + json.dumps(line.decode(errors="replace")).encode())
        self.separator = b","

    def end(self, tracked: TrackedJob | None) -> None:
        if rest := self.lines.rest():
            self._line(rest)
        super().write((b"\n  " if self.separator else b"") + b"]\n}\n")
