"""Implements a transport by scripts for a remote shell: files go through a pipe, many in one round trip.

How a script gets there is up to the subclasses of `RemoteShell`: by paramiko (`paramiko_ssh`), or by the system's
client (`openssh`).
"""

import contextlib
import io
import os
import re
import secrets
import shlex
import tarfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from hpcbrew import full_disk, layout
from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError, Unanswered
from hpcbrew.transports import process, retry, waiting
from hpcbrew.transports.base import NO_FILE, NOT_READABLE, RECORD, Contents, NoRecord, OnBytes, too_large
from hpcbrew.transports.login_shell import MarkedScript, ScriptResult, as_text
from hpcbrew.transports.process import CommandOutput
from hpcbrew.transports.remote_reader import RemoteReader
from hpcbrew.transports.sessions import Sessions

MISSING = 44
"""The exit status of our own scripts if a file does not exist; none of their commands uses it."""

PIECE = 2**18
"""Bytes of a large file that are read and sent at a time."""

SENDING = 300.0
"""Seconds of silence allowed while files are sent: sent bytes may be buffered between the two machines for a while."""

CLEARING = 600.0
"""The same while a folder is removed, which may contain tens of thousands of files."""

FAREWELL = 10.0
"""Seconds allowed for terminating a command that was given up."""

_SMALL = rf"\( -type f -readable -size -{RECORD + 1}c \)"
RECORDS = (
    rf"""xargs -0 -r sh -c 'find "$@" -maxdepth 0 ! {_SMALL} -printf "\0%y %s %p\0" >&3; """
    rf"""find "$@" -maxdepth 0 {_SMALL} -print0' sh 3>&2 2>/dev/null | """
    "tar --create --absolute-names --ignore-failed-read --null --files-from=- --file=-"
)
"""Prints a tar of those files that are small, and names anything else that exists on standard error, between NULs."""

_ELSE = re.compile(rb"\0(?P<kind>\S) (?P<size>\d{1,18}) (?P<path>[^\0]+)\0")

VARIABLE = re.compile(r"\$(\w+|\{\w+\})")

WHOLE = PurePosixPath(".hpcbrew-whole")
"""The last file of a tar that makes a folder, since GNU tar accepts a tar that was cut off between two files."""

Input = bytes | Callable[[], Iterable[bytes]]
"""The input of a script: bytes, or a function that yields them anew for each attempt."""


class RemoteShell(ABC):
    """A transport over a connection that can run scripts, one or several at a time.

    `say` is called with what is being waited for.
    """

    say: Callable[[str], object] = staticmethod(lambda words: None)

    def __init__(self, destination: str) -> None:
        self._destination = destination
        self._roots: dict[str, PurePosixPath] = {}
        self._sessions = Sessions()

    # The connection

    @abstractmethod
    def _connect(self) -> None:
        """Ensures that there is a connection. Raises TransportError, `retryable` unless the login was refused."""

    @abstractmethod
    def _channel(self, command: str, stdin: Iterable[bytes], output: CommandOutput, idle_timeout: float) -> int:
        """Runs a command there. Returns its exit status, `process.CUT` if the connection broke, or what `process.talk`
        returns for a command that was given up. Raises TransportError, `retryable`, after a cut, and NoSession if the
        command could not be started."""

    @abstractmethod
    def close(self) -> None:
        """Closes the connection. It is made again when next needed."""

    def plain(self, command: str) -> CommandResult:
        """Returns what `ssh HOST COMMAND` prints: from the shell that sshd starts, with anything that this prints
        too."""
        self._connect()
        output = CommandOutput()
        status = self._sessions.run(lambda: self._channel(command, (), output, process.IDLE_TIMEOUT))
        self._check(status, f"`{command}`", process.IDLE_TIMEOUT)
        return CommandResult(status, as_text(output.out), as_text(output.err))

    def _script(
        self,
        script: str | Callable[[int], str],
        task: str,
        *,
        stdin: Input = b"",
        idempotent: bool = False,
        idle_timeout: float | None = None,
        most: int | None = None,
    ) -> ScriptResult:
        """Runs a script, which may depend on the number of the attempt; `idempotent`: it may be run more than once.

        `task` names it in errors. An answer of more than `most` bytes is refused (None: the usual limit).
        """
        limit = process.MOST if most is None else most

        def once(attempt: int) -> ScriptResult:
            text = script if isinstance(script, str) else script(attempt)
            if idle_timeout is not None:  # known to take long
                return self._once(text, task, stdin, idle_timeout, limit)
            words = f"{self._destination}: {task}: no answer for {waiting.WORD:.0f} s; still waiting"
            with waiting.told(self.say, words):
                return self._once(text, task, stdin, process.IDLE_TIMEOUT, limit)

        return retry.attempts(self._connect, once, idempotent=idempotent, say=self.say)

    def _once(self, script: str, task: str, stdin: Input, idle_timeout: float, most: int) -> ScriptResult:
        """Runs a script in a login shell, where the user's own commands would run too."""
        marked_script, output = MarkedScript(script), CommandOutput(most=most)

        def attempt() -> int:
            chunks = iter([stdin]) if isinstance(stdin, bytes) else stdin()
            return self._channel(marked_script.command, chunks, output, idle_timeout)

        try:
            status = self._sessions.run(attempt)
        except TransportError:
            raise
        except BaseException:  # Ctrl-C: what was started there must not go on
            self._end(marked_script, output)
            raise
        if status in process.GIVEN_UP:
            self._end(marked_script, output)
        self._check(status, task, idle_timeout, most)
        return marked_script.result(output, status, self._destination)

    def _check(self, status: int, task: str, idle_timeout: float, most: int = process.MOST) -> None:
        """Raises TransportError for a command that was given up."""
        if status in (process.SILENT, process.SLOW):
            raise Unanswered(self._destination, task, idle_timeout * (process.TIMES if status == process.SLOW else 1))
        if status == process.ENDLESS:
            raise TransportError(
                f"{self._destination}: {task} printed more than {most // 2**20} MiB and was given up: "
                "try it there by hand"
            )

    def _end(self, marked_script: MarkedScript, output: CommandOutput) -> None:
        """Terminates what a script has started there, as far as possible."""
        if command := marked_script.ending(output):
            with contextlib.suppress(TransportError):
                self._channel(command, (), CommandOutput(), FAREWELL)

    # The methods of Transport

    def root(self, pattern: str) -> PurePosixPath:
        if pattern not in self._roots:
            script = f"printf '%s\\n' {_expansion(pattern)}"
            answer = self._script(script, f"looking for {pattern}", idempotent=True).text
            path = answer.out.strip()
            if answer.status != 0 or not path.startswith("/") or not path.isprintable() or "\ufffd" in path:
                reason = answer.words.rpartition(": line ")[2].partition(": ")[2] or answer.words
                raise TransportError(
                    f"scratch: {pattern}: this is not a folder on {self._destination}: {reason}. "
                    "Put another `scratch:` into the profile"
                )
            self._roots[pattern] = PurePosixPath(path)
        return self._roots[pattern]

    def run(
        self,
        command: Sequence[str],
        folder: PurePosixPath,
        *,
        idempotent: bool = False,
        idle_timeout: float | None = None,
    ) -> CommandResult:
        script = f"cd -- {shlex.quote(str(folder))} && {shlex.join(command)}"
        return self._script(script, process.named(command), idempotent=idempotent, idle_timeout=idle_timeout).text

    def make_folder(self, folder: PurePosixPath, files: Mapping[PurePosixPath, bytes]) -> None:
        final, parent = shlex.quote(str(folder)), shlex.quote(str(folder.parent))
        archive = _pack({**files, WHOLE: b""})

        def script(attempt: int) -> str:
            # After a cut it may exist already; it is complete then, since it gets its name last and in one step.
            if_exists = "exit 0" if attempt else "echo 'it is there already' >&2; exit 1"
            part = shlex.quote(f"{folder.parent}/.{folder.name}.{secrets.token_hex(4)}")
            return (
                f"[ ! -e {final} ] || {{ {if_exists}; }}; mkdir -p -- {parent} && mkdir -- {part} && tar -xf - "
                f"-C {part} && rm -- {part}/{WHOLE} && mv -nT -- {part} {final} && [ ! -e {part} ] "
                f"|| {{ rm -rf -- {part}; exit 1; }}"
            )

        answer = self._script(script, f"making {folder}", stdin=archive, idempotent=True, idle_timeout=SENDING).text
        if answer.status != 0:
            raise TransportError(f"{folder}: cannot make this folder on {self._destination}: {_words(answer)}")

    def remove_folder(self, folder: PurePosixPath) -> None:
        script = f"rm -rf -- {shlex.quote(str(folder))}"
        answer = self._script(script, f"removing {folder}", idempotent=True, idle_timeout=CLEARING).text
        if answer.status != 0:
            raise TransportError(f"{folder}: cannot remove this folder: {answer.words}")

    def read(self, path: PurePosixPath, start: int = 0, size: int | None = None) -> bytes | None:
        name, end = shlex.quote(str(path)), "" if size is None else f" | head -c {size}"
        script = f"[ -e {name} ] || exit {MISSING}; tail -c +{start + 1} -- {name}{end}"
        most = process.MOST + (size or 0)
        answer = self._script(script, f"reading {path}", idempotent=True, most=most)
        if answer.status == MISSING:
            return None
        if answer.status != 0:
            raise TransportError(f"{path}: {as_text(answer.err).strip()}")
        return answer.out[:size]

    def reader(self) -> RemoteReader:
        attempts = partial(retry.attempts, self._connect, idempotent=True, say=self.say)
        return RemoteReader(self._destination, attempts, self._channel)

    def read_all(self, paths: Sequence[PurePosixPath]) -> list[Contents]:
        """Asks for one tar of those that exist. The names are sent through the pipe, so they may be many."""
        if not paths:
            return []
        answer = self._script(
            RECORDS,
            f"reading {paths[0]}" + (f" and {len(paths) - 1} more files" if len(paths) > 1 else ""),
            stdin=b"".join(os.fsencode(f"{path}\0") for path in paths),
            idempotent=True,
        )
        try:
            contents: dict[str, Contents] = {**_no_records(answer.err), **_unpacked(answer.out)}
        except (tarfile.TarError, ValueError, OverflowError, LookupError, EOFError) as error:
            reason = as_text(answer.err).strip() or error
            raise TransportError(f"{self._destination}: files could not be read: {reason}") from None
        return [contents.get(str(path)) for path in paths]

    def add_files(self, folder: PurePosixPath, files: Mapping[PurePosixPath, bytes]) -> None:
        script = f"tar -xf - -C {shlex.quote(str(folder))}"
        answer = self._script(
            script, f"writing into {folder}", stdin=_pack(files), idempotent=True, idle_timeout=SENDING
        ).text
        if answer.status != 0:
            raise TransportError(f"{folder}: cannot write files there on {self._destination}: {_words(answer)}")

    def write(self, source: Path, target: PurePosixPath, start: int, size: int, on_bytes: OnBytes) -> None:
        name, parent = shlex.quote(str(target)), shlex.quote(str(target.parent))
        reported = 0

        def report(count: int) -> None:
            nonlocal reported
            reported += count
            on_bytes(count)

        def pieces() -> Iterator[bytes]:
            report(-reported)  # what was sent before a cut is sent again
            return _pieces(source, start, size, report)

        script = f"mkdir -p -- {parent} && dd of={name} bs=1M seek={start} oflag=seek_bytes conv=notrunc status=none"
        answer = self._script(script, f"writing {target}", stdin=pieces, idempotent=True, idle_timeout=SENDING).text
        if answer.status != 0:
            raise TransportError(f"{target}: cannot be written on {self._destination}: {_words(answer)}")

    def sizes(self, folder: PurePosixPath) -> dict[PurePosixPath, int]:
        name = shlex.quote(str(folder))
        script = f"[ ! -d {name} ] || find {name}/ -type f -printf '%s %P\\0'"
        answer = self._script(script, f"looking into {folder}", idempotent=True)
        if answer.status != 0:
            raise TransportError(f"{folder}: {answer.text.words}")
        sizes: dict[PurePosixPath, int] = {}
        for row in filter(None, answer.out.split(b"\0")):
            size, _, path = row.partition(b" ")
            inside = PurePosixPath(os.fsdecode(path))
            if not re.fullmatch(rb"\d{1,18}", size) or not path or inside.is_absolute() or ".." in inside.parts:
                raise TransportError(f"{folder}: {as_text(row[:80])!r} is not a row of a list of its files")
            sizes[inside] = int(size)
        return sizes

    def names(self, folder: PurePosixPath) -> list[str]:
        name = shlex.quote(str(folder))
        script = f"[ -d {name} ] || exit {MISSING}; find {name}/ -mindepth 1 -maxdepth 1 -printf '%f\\0'"
        answer = self._script(script, f"looking into {folder}", idempotent=True)
        if answer.status == MISSING:
            return []
        if answer.status != 0:
            raise TransportError(f"{folder}: {as_text(answer.err).strip()}")
        names = [os.fsdecode(name) for name in answer.out.split(b"\0") if name]
        if odd := next((name for name in names if "/" in name or name == ".."), None):
            raise TransportError(f"{folder}: {odd[:80]!r} is not a name in a list of its files")
        return sorted(names)


def _unpacked(archive: bytes) -> dict[str, bytes]:
    """Returns the plain files of a tar by name. Links, which could be circular, and sparse files, which could claim any
    size, are ignored."""
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as members:
        for member in members:
            if member.isreg() and member.sparse is None and (file := members.extractfile(member)):
                files[member.name] = file.read()
    return files


def _no_records(stderr: bytes) -> dict[str, NoRecord]:
    """Reads what RECORDS reports on standard error, by name."""
    return {
        os.fsdecode(match["path"]): NO_FILE
        if match["kind"] != b"f"
        else too_large(int(match["size"]))
        if int(match["size"]) > RECORD
        else NOT_READABLE
        for match in _ELSE.finditer(stderr)
    }


def _words(answer: CommandResult) -> str:
    return answer.words + full_disk.remedy(answer.words)


def _expansion(pattern: str) -> str:
    """Quotes a profile's folder for the shell, which expands a leading `~` and `$NAME`; all else is quoted."""
    parts: list[str] = []
    rest = pattern
    if rest == "~" or rest.startswith("~/"):
        parts.append('"$HOME"')
        rest = rest[1:]
    end = 0
    for match in VARIABLE.finditer(rest):
        name = match[1].strip("{}")
        parts += [shlex.quote(rest[end : match.start()])] if match.start() > end else []
        parts.append(f'"${{{name}:?is not set there}}"')
        end = match.end()
    parts += [shlex.quote(rest[end:])] if rest[end:] else []
    return "".join(parts)


def _pack(files: Mapping[PurePosixPath, bytes]) -> bytes:
    """Returns a tar of these files. The remote umask decides whether group and others may read them. They are dated
    now, since sites remove old files from scratch."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(str(name))
            member.size, member.mode, member.mtime = len(data), layout.mode(name), int(time.time())
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _pieces(source: Path, start: int, size: int, on_bytes: OnBytes) -> Iterator[bytes]:
    with source.open("rb") as file:
        file.seek(start)
        while size and (piece := file.read(min(PIECE, size))):
            yield piece
            size -= len(piece)
            on_bytes(len(piece))
