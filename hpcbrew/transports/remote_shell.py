"""What a transport does, as scripts for a shell on the other side: files go through a pipe, many in one round trip."""

import io
import re
import secrets
import shlex
import tarfile
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from hpcbrew import full_disk
from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError, Unanswered
from hpcbrew.transports import process
from hpcbrew.transports.pipe import Pipe, as_text
from hpcbrew.transports.process import CommandOutput

MISSING = 44
"""What our own scripts exit with where a file is not there: no command of theirs uses it."""

PIECE = 2**18
"""Bytes of a large file that are read and sent at a time."""

SENDING = 300.0
"""Seconds of silence that files under way are allowed: what was sent may lie between here and there for a while."""

CLEARING = 600.0
"""The same for a folder that is taken away, which may hold tens of thousands of files."""

VARIABLE = re.compile(r"\$(\w+|\{\w+\})")

WHOLE = PurePosixPath(".hpcbrew-whole")
"""The last file of a tar that makes a folder: GNU tar takes one that was cut between two files for a whole one."""


class Shell(Pipe):
    """The contract of a transport, over a pipe for scripts."""

    def __init__(self, destination: str) -> None:
        super().__init__(destination)
        self._roots: dict[str, PurePosixPath] = {}

    @abstractmethod
    def close(self) -> None:
        """Lets the line go. It is made again when next needed."""

    def plain(self, command: str) -> CommandResult:
        """What `ssh HOST COMMAND` answers: from the shell that sshd starts, with all that this prints of itself."""
        self._connect()
        output = CommandOutput()
        status = self._channel(command, (), output, process.IDLE_TIMEOUT)
        if status == process.SILENT:
            raise Unanswered(self._destination, f"`{command}`", process.IDLE_TIMEOUT)
        return CommandResult(status, as_text(output.out), as_text(output.err))

    # The contract

    def root(self, pattern: str) -> PurePosixPath:
        if pattern not in self._roots:
            answer = self._shell(
                f"printf '%s\\n' {_expansion(pattern)}", f"a shell that looks for {pattern}", idempotent=True
            )
            path = answer.out.strip()
            if answer.status != 0 or not path.startswith("/"):
                said = answer.words.rpartition(": line ")[2].partition(": ")[2] or answer.words
                raise TransportError(
                    f"scratch: {pattern}: on {self._destination} this is no folder: {said}. "
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
        return self._shell(script, process.named(command), idempotent=idempotent, idle_timeout=idle_timeout)

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

        answer = self._answer(
            self._attempts(script, f"making {folder}", stdin=packed, idempotent=True, idle_timeout=SENDING)
        )
        if answer.status != 0:
            raise TransportError(f"{folder}: cannot make this folder on {self._destination}: {_words(answer)}")

    def remove_folder(self, folder: PurePosixPath) -> None:
        script = f"rm -rf -- {shlex.quote(str(folder))}"
        answer = self._shell(script, f"removing {folder}", idempotent=True, idle_timeout=CLEARING)
        if answer.status != 0:
            raise TransportError(f"{folder}: cannot take this folder away: {answer.words}")

    def read(self, path: PurePosixPath, start: int = 0, size: int | None = None) -> bytes | None:
        name, end = shlex.quote(str(path)), "" if size is None else f" | head -c {size}"
        status, out, err = self._bytes(
            f"[ -e {name} ] || exit {MISSING}; tail -c +{start + 1} -- {name}{end}", f"reading {path}", idempotent=True
        )
        if status == MISSING:
            return None
        if status != 0:
            raise TransportError(f"{path}: {as_text(err).strip()}")
        return out

    def read_all(self, paths: Sequence[PurePosixPath]) -> list[bytes | None]:
        """One tar of those that are there: their names go in through the pipe, however many they are."""
        if not paths:
            return []
        names = b"".join(f"{path}\0".encode() for path in paths)
        _, out, err = self._bytes(
            "tar --create --absolute-names --ignore-failed-read --null --files-from=- --file=-",
            f"reading {paths[0]}" + (f" and {len(paths) - 1} more files" if len(paths) > 1 else ""),
            stdin=names,
            idempotent=True,
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
                f"{self._destination}: files could not be read: {as_text(err).strip() or error}"
            ) from None
        return [found.get(str(path)) for path in paths]

    def add_files(self, folder: PurePosixPath, files: Mapping[PurePosixPath, bytes]) -> None:
        script = f"tar -xf - -C {shlex.quote(str(folder))}"
        answer = self._shell(
            script, f"writing into {folder}", stdin=_pack(files), idempotent=True, idle_timeout=SENDING
        )
        if answer.status != 0:
            raise TransportError(f"{folder}: files cannot be put there on {self._destination}: {_words(answer)}")

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
        answer = self._shell(script, f"writing {target}", stdin=pieces, idempotent=True, idle_timeout=SENDING)
        if answer.status != 0:
            raise TransportError(f"{target}: cannot be written on {self._destination}: {_words(answer)}")

    def sizes(self, folder: PurePosixPath) -> dict[PurePosixPath, int]:
        name = shlex.quote(str(folder))
        script = f"[ ! -d {name} ] || find {name}/ -type f -printf '%s %P\\0'"
        answer = self._shell(script, f"looking into {folder}", idempotent=True)
        if answer.status != 0:
            raise TransportError(f"{folder}: {answer.words}")
        rows = [row.split(" ", 1) for row in answer.out.split("\0") if row]
        return {PurePosixPath(path): int(size) for size, path in rows}

    def names(self, folder: PurePosixPath) -> list[str]:
        name = shlex.quote(str(folder))
        status, out, err = self._bytes(
            f"[ -d {name} ] || exit {MISSING}; find {name}/ -mindepth 1 -maxdepth 1 -printf '%f\\0'",
            f"looking into {folder}",
            idempotent=True,
        )
        if status not in (0, MISSING):
            raise TransportError(f"{folder}: {as_text(err).strip()}")
        return sorted(as_text(name) for name in out.split(b"\0") if name) if status == 0 else []


def _words(answer: CommandResult) -> str:
    return answer.words + full_disk.remedy(answer.words)


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
