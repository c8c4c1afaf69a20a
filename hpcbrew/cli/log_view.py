"""How a job's log is shown while it grows: as it is, or an object a line."""

import json
from pathlib import PurePosixPath
from typing import IO

import click

from hpcbrew.cli.output import DETACHED, warn
from hpcbrew.job import JobRecord
from hpcbrew.track.follow import looks
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.log_tail import LogTail, last_lines
from hpcbrew.track.refresh import Site, TrackedJob


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
    log, shown = LogTail(site.transport, path, warn), _Objects(out) if as_json else _Bytes(out)
    told: set[object] = set()

    def tell(what: object, note: str) -> None:
        if what not in told:
            warn(note)
            told.add(what)

    try:
        data = log.grown()
        shown.write(data if lines is None else last_lines(data, lines))
        for tracked in looks(record, site, ledger, warn):
            shown.write(log.grown())
            if tracked.trouble:
                tell(tracked.trouble, f"{record.cluster} could not be asked: {tracked.trouble}")
            if not log.found:
                tell(tracked.record.status.state.final, missing(tracked.record, path))
        shown.end(tracked)
        return tracked.record.status.shell_status
    except KeyboardInterrupt:
        click.echo("\nThe job goes on.", err=True)
        return DETACHED


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

    def end(self, tracked: TrackedJob) -> None: ...


class _Objects(_Bytes):
    """An object a line. A line that is not whole yet, which may end within a character, waits for its end."""

    def __init__(self, out: IO[bytes]) -> None:
        super().__init__(out)
        self.begun = b""

    def write(self, data: bytes) -> None:
        *whole, self.begun = (self.begun + data).split(b"\n")
        super().write(b"".join(map(_object, whole)))

    def end(self, tracked: TrackedJob) -> None:
        rest = _object(self.begun) if self.begun else b""
        super().write(rest + json.dumps(tracked.as_json()).encode() + b"\n")


def _object(line: bytes) -> bytes:
    return json.dumps({"line": line.decode(errors="replace")}).encode() + b"\n"
