"""What a transport does, as scripts for a shell on the other side: files go through the pipe, many in one round trip.

How a script gets there is left to those who extend `Shell`: paramiko (`ssh`), or the system's client (`openssh`).
"""

import base64
import io
import re
import secrets
import shlex
import tarfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from hpcbrew.answer import Answer
from hpcbrew.errors import TransportError

MISSING = 44
"""What our own scripts exit with where a file is not there: no command of theirs uses it."""

PIECE = 2**18
"""Bytes of a large file that are read and sent at a time."""

PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt, where one broke off that may be repeated."""

Stream = bytes | Callable[[], Iterable[bytes]]
"""What a command is given to read: as it is, or a function that begins it anew for each attempt."""

VARIABLE = re.compile(r"\$(\w+|\{\w+\})")

WHOLE = PurePosixPath(".hpcbrew-whole")
"""The last file of a tar that makes a folder: GNU tar takes one that was cut between two files for a whole one."""


class Shell(ABC):
    """The contract of a transport over a line that carries one script at a time, or several at once."""

    def __init__(self, destination: str) -> None:
        self._destination = destination
        self._roots: dict[str, PurePosixPath] = {}

    @abstractmethod
    def _connect(self) -> None:
        """Sees to it that the line stands. Raises TransportError, `retryable` where the login was not refused."""

    @abstractmethod
    def _channel(self, command: str, stdin: Iterable[bytes]) -> tuple[int, bytes, bytes]:
        """Exit status, output and errors of a command there. Raises TransportError, `retryable`, after a cut."""

    @abstractmethod
    def close(self) -> None:
        """Lets the line go. It is made again when next needed."""

    def plain(self, command: str) -> Answer:
        """What `ssh HOST COMMAND` answers: from the shell that sshd starts, with all that this prints of itself."""
        self._connect()
        status, out, err = self._channel(command, ())
        return Answer(status, _text(out), _text(err))

    # The contract

    def root(self, pattern: str) -> PurePosixPath:
        if pattern not in self._roots:
            answer = self._shell(f"printf '%s\\n' {_expansion(pattern)}", again=True)
            path = answer.out.strip()
            if answer.status != 0 or not path.startswith("/"):
                said = answer.words.rpartition(": line ")[2].partition(": ")[2] or answer.words
                raise TransportError(
                    f"scratch: {pattern}: on {self._destination} this is no folder: {said}. "
                    "Put another `scratch:` into the profile"
                )
            self._roots[pattern] = PurePosixPath(path)
        return self._roots[pattern]

    def run(self, command: Sequence[str], folder: PurePosixPath, *, again: bool = False) -> Answer:
        return self._shell(f"cd -- {shlex.quote(str(folder))} && {shlex.join(command)}", again=again)

    def make_folder(self, folder: PurePosixPath, files: Mapping[PurePosixPath, bytes]) -> None:
        final, parent = shlex.quote(str(folder)), shlex.quote(str(folder.parent))
        packed = _pack({**files, WHOLE: b""})

        def script(attempt: int) -> str:
            # After a cut it may be there: it gets its name in one step, so it is whole then.
            there = "exit 0" if attempt else "echo 'it is there already' >&2; exit 1"
            new = shlex.quote(f"{folder.parent}/.{folder.name}.{secrets.token_hex(4)}")
            return (
                f"[ ! -e {final} ] || {{ {there}; }}; mkdir -p -- {parent} && mkdir -- {new} && tar -xf - -C {new} "
                f"&& rm -- {new}/{WHOLE} && mv -nT -- {new} {final} && [ ! -e {new} ] "
                f"|| {{ rm -rf -- {new}; exit 1; }}"
            )

        answer = self._answer(self._attempts(script, packed, again=True))
        if answer.status != 0:
            raise TransportError(f"{folder}: cannot make this folder on {self._destination}: {answer.words}")

    def remove_folder(self, folder: PurePosixPath) -> None:
        answer = self._shell(f"rm -rf -- {shlex.quote(str(folder))}", again=True)
        if answer.status != 0:
            raise TransportError(f"{folder}: cannot take this folder away: {answer.words}")

    def read(self, path: PurePosixPath, start: int = 0, size: int | None = None) -> bytes | None:
        name, end = shlex.quote(str(path)), "" if size is None else f" | head -c {size}"
        status, out, err = self._bytes(
            f"[ -e {name} ] || exit {MISSING}; tail -c +{start + 1} -- {name}{end}", again=True
        )
        if status == MISSING:
            return None
        if status != 0:
            raise TransportError(f"{path}: {_text(err).strip()}")
        return out

    def read_all(self, paths: Sequence[PurePosixPath]) -> list[bytes | None]:
        """One tar of those that are there: their names go in through the pipe, however many they are."""
        if not paths:
            return []
        names = b"".join(f"{path}\0".encode() for path in paths)
        _, out, err = self._bytes(
            "tar --create --absolute-names --ignore-failed-read --null --files-from=- --file=-", stdin=names, again=True
        )
        found: dict[str, bytes] = {}
        try:
            with tarfile.open(fileobj=io.BytesIO(out)) as archive:
                for member in archive:
                    file = archive.extractfile(member)
                    if file is not None:
                        found[member.name] = file.read()
        except tarfile.TarError as error:
            raise TransportError(
                f"{self._destination}: files could not be read: {_text(err).strip() or error}"
            ) from None
        return [found.get(str(path)) for path in paths]

    def add_files(self, folder: PurePosixPath, files: Mapping[PurePosixPath, bytes]) -> None:
        answer = self._shell(f"tar -xf - -C {shlex.quote(str(folder))}", stdin=_pack(files), again=True)
        if answer.status != 0:
            raise TransportError(f"{folder}: files cannot be put there on {self._destination}: {answer.words}")

    def write(
        self, source: Path, target: PurePosixPath, start: int, size: int, progress: Callable[[int], None]
    ) -> None:
        name, parent = shlex.quote(str(target)), shlex.quote(str(target.parent))
        told = 0

        def counted(count: int) -> None:
            nonlocal told
            told += count
            progress(count)

        def pieces() -> Iterator[bytes]:
            counted(-told)  # what was sent before a cut is sent again
            return _pieces(source, start, size, counted)

        script = f"mkdir -p -- {parent} && dd of={name} bs=1M seek={start} oflag=seek_bytes conv=notrunc status=none"
        answer = self._shell(script, stdin=pieces, again=True)
        if answer.status != 0:
            raise TransportError(f"{target}: cannot be written on {self._destination}: {answer.words}")

    def sizes(self, folder: PurePosixPath) -> dict[PurePosixPath, int]:
        name = shlex.quote(str(folder))
        answer = self._shell(f"[ ! -d {name} ] || find {name}/ -type f -printf '%s %P\\0'", again=True)
        if answer.status != 0:
            raise TransportError(f"{folder}: {answer.words}")
        rows = [row.split(" ", 1) for row in answer.out.split("\0") if row]
        return {PurePosixPath(path): int(size) for size, path in rows}

    def names(self, folder: PurePosixPath) -> list[str]:
        name = shlex.quote(str(folder))
        status, out, err = self._bytes(
            f"[ -d {name} ] || exit {MISSING}; find {name}/ -mindepth 1 -maxdepth 1 -printf '%f\\0'", again=True
        )
        if status not in (0, MISSING):
            raise TransportError(f"{folder}: {_text(err).strip()}")
        return sorted(_text(name) for name in out.split(b"\0") if name) if status == 0 else []

    # The pipe

    def _shell(self, script: str, *, stdin: Stream = b"", again: bool = False) -> Answer:
        return self._answer(self._bytes(script, stdin=stdin, again=again))

    def _answer(self, raw: tuple[int, bytes, bytes]) -> Answer:
        return Answer(raw[0], _text(raw[1]), _text(raw[2]))

    def _bytes(self, script: str, *, stdin: Stream = b"", again: bool = False) -> tuple[int, bytes, bytes]:
        return self._attempts(lambda attempt: script, stdin, again=again)

    def _attempts(self, script: Callable[[int], str], stdin: Stream, *, again: bool) -> tuple[int, bytes, bytes]:
        """Runs a script, which may depend on how often it was tried; `again`: it may be run more than once.

        Connecting is tried again in any case: nothing has been asked for by then.
        """
        for attempt, pause in enumerate((*PAUSES, None)):
            connected = False
            try:
                self._connect()
                connected = True
                return self._once(script(attempt), stdin)
            except TransportError as error:
                if not error.retryable or (connected and not again) or pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, script: str, stdin: Stream) -> tuple[int, bytes, bytes]:
        """Runs a script in a login shell, as the user's own commands are.

        Its output lies between marks made anew for each command: what the site's profile files print is dropped, and
        an answer that was cut is told from one that is whole.
        """
        mark = f"--{secrets.token_hex(8)}--"
        marked = (
            f"printf '%s\\n' {mark}; printf '%s\\n' {mark} >&2; ({script}); status=$?; printf '%s' {mark}; "
            f"printf '%s %s' {mark} $status >&2"
        )
        given = iter([stdin]) if isinstance(stdin, bytes) else stdin()
        status, out, err = self._channel(f"exec bash -l -c {_quoted(marked)}", given)
        line = f"{mark}\n".encode()
        if line not in out and status == -1:
            raise TransportError(f"{self._destination}: the connection was cut", retryable=True)
        if line not in out:
            said = _text(err or out).strip() or f"exit status {status}"
            raise TransportError(f"{self._destination}: no bash answered there: {said}")
        out, whole, _ = out.partition(line)[2].rpartition(line[:-1])
        err, ended, own = err.partition(line)[2].rpartition(line[:-1])
        if not (whole and ended):
            raise TransportError(f"{self._destination}: the connection was cut", retryable=True)
        return int(own.split()[0]), out, err


def _quoted(script: str) -> str:
    """One word for whatever login shell the user has there: csh takes no line breaks in quotes, and reads ! in them."""
    if not re.search(r"[\n!]", script):
        return shlex.quote(script)
    encoded = base64.b64encode(script.encode()).decode()
    return shlex.quote(f'eval "$(echo {encoded} | base64 -d)"')


def _expansion(pattern: str) -> str:
    """A profile's folder for the shell: `~` at the front and `$NAME` are expanded there, all else is quoted."""
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
    """A tar of these files: readable by their owner's group and others as the umask there allows; and new, as sites
    clear what is old away from scratch."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(str(name))
            member.size, member.mode, member.mtime = len(data), 0o644, int(time.time())
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _pieces(source: Path, start: int, size: int, progress: Callable[[int], None]) -> Iterator[bytes]:
    with source.open("rb") as file:
        file.seek(start)
        while size and (piece := file.read(min(PIECE, size))):
            yield piece
            size -= len(piece)
            progress(len(piece))


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")
