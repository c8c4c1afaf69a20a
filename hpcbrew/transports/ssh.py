"""A cluster behind SSH: one connection, a channel a command. Files go through the pipe, many in one round trip."""

import io
import re
import secrets
import shlex
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import paramiko

from hpcbrew.answer import Answer
from hpcbrew.errors import TransportError
from hpcbrew.transports import ssh_host, ssh_login
from hpcbrew.transports.ssh_host import SshHost
from hpcbrew.transports.ssh_login import Prompter

MISSING = 44
"""What our own scripts exit with where a file is not there: no command of theirs uses it."""

PIECE = 2**20
"""Bytes of a large file that are read and sent at a time."""

Stream = bytes | Iterable[bytes]
"""What a command is given to read."""

VARIABLE = re.compile(r"\$(\w+|\{\w+\})")


def resolve(destination: str) -> SshHost:
    """What `ssh destination` would do. Raises TransportError where there is no ssh to ask."""
    command = ssh_host.resolve_command(destination)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise TransportError(
            "the OpenSSH client `ssh` is not installed; it is needed to read your ssh configuration"
        ) from None
    return ssh_host.parse(destination, Answer(done.returncode, done.stdout, done.stderr))


class Ssh:
    """The transport of every cluster that is reached over SSH. Connects when first needed, and again after a cut."""

    def __init__(self, destination: str, prompter: Prompter, resolve: Callable[[str], SshHost] = resolve) -> None:
        self._destination = destination
        self._prompter = prompter
        self._resolve = resolve
        self._clients: list[paramiko.SSHClient] = []
        self._roots: dict[str, PurePosixPath] = {}

    # The contract of a transport

    def root(self, pattern: str) -> PurePosixPath:
        if pattern not in self._roots:
            answer = self._shell(f"printf '%s\\n' {_expansion(pattern)}", again=True)
            path = answer.out.strip()
            if answer.status != 0 or not path.startswith("/"):
                raise TransportError(f"scratch: {pattern}: on {self._destination} this is no folder: {answer.words}")
            self._roots[pattern] = PurePosixPath(path)
        return self._roots[pattern]

    def run(self, command: Sequence[str], folder: PurePosixPath) -> Answer:
        return self._shell(f"cd -- {shlex.quote(str(folder))} && {shlex.join(command)}")

    def make_folder(self, folder: PurePosixPath, files: Mapping[PurePosixPath, bytes]) -> None:
        new = shlex.quote(f"{folder.parent}/.{folder.name}.{secrets.token_hex(4)}")
        final, parent = shlex.quote(str(folder)), shlex.quote(str(folder.parent))
        answer = self._shell(
            f"[ ! -e {final} ] || {{ echo 'it is there already' >&2; exit 1; }}; "
            f"mkdir -p -- {parent} && mkdir -- {new} && tar -xf - -C {new} && mv -nT -- {new} {final} "
            f"&& [ ! -e {new} ] || {{ status=$?; rm -rf -- {new}; exit $status; }}",
            stdin=_pack(files),
        )
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

    def append(self, source: Path, target: PurePosixPath, start: int, progress: Callable[[int], None]) -> None:
        name, parent = shlex.quote(str(target)), shlex.quote(str(target.parent))
        script = f"mkdir -p -- {parent} && {{ [ ! -e {name} ] || truncate -s {start} -- {name}; }} && cat >>{name}"
        answer = self._shell(script, stdin=_pieces(source, start, progress))
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

    def close(self) -> None:
        ssh_login.close(self._clients)
        self._clients = []

    # The pipe

    def _shell(self, script: str, *, stdin: Stream = b"", again: bool = False) -> Answer:
        status, out, err = self._bytes(script, stdin=stdin, again=again)
        return Answer(status, _text(out), _text(err))

    def _bytes(self, script: str, *, stdin: Stream = b"", again: bool = False) -> tuple[int, bytes, bytes]:
        """Runs a script in a login shell, as the user's own commands are; `again`: it may be run twice.

        What the site's profile files print comes before a mark that is made anew for each command, and is dropped.
        """
        mark = f"--{secrets.token_hex(8)}--"
        marked = f"printf '%s\\n' {mark}; printf '%s\\n' {mark} >&2; {script}"
        command = f"exec bash -l -c {shlex.quote(marked)}"
        try:
            status, out, err = self._channel(command, stdin)
        except TransportError as error:
            if not (again and error.retryable):
                raise
            status, out, err = self._channel(command, stdin)
        line = f"{mark}\n".encode()
        if line not in out:
            said = _text(err or out).strip() or f"exit status {status}"
            raise TransportError(f"{self._destination}: no bash answered there: {said}")
        return status, out.partition(line)[2], err.partition(line)[2]

    def _channel(self, command: str, stdin: Stream) -> tuple[int, bytes, bytes]:
        try:
            channel = self._transport().open_session(timeout=60)
            channel.exec_command(command)
            feeder = threading.Thread(target=_feed, args=(channel, stdin), daemon=True)
            feeder.start()
            out, err = _drain(channel)
            feeder.join()
            status = channel.recv_exit_status()
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.close()
            raise TransportError(
                f"{self._destination}: the connection was cut: {str(error) or type(error).__name__}", retryable=True
            ) from None
        if status == -1:  # closed without a word: nobody knows whether the command ran
            self.close()
            raise TransportError(f"{self._destination}: the connection was cut", retryable=True)
        return status, out, err

    def _transport(self) -> paramiko.Transport:
        transport = self._clients[-1].get_transport() if self._clients else None
        if transport is None or not transport.is_active():
            self.close()
            self._clients = ssh_login.connect(self._destination, self._resolve, self._prompter)
            transport = self._clients[-1].get_transport()
        assert transport is not None
        return transport


def _feed(channel: paramiko.Channel, data: Stream) -> None:
    """A command may end without reading all that it is sent: its exit status says more than the broken pipe."""
    try:
        for piece in [data] if isinstance(data, bytes) else data:
            channel.sendall(piece)
        channel.shutdown_write()
    except (TimeoutError, OSError):
        return


def _drain(channel: paramiko.Channel) -> tuple[bytes, bytes]:
    """Both streams to their ends; each has its reader, as a full one would hold up the other."""
    err = bytearray()

    def drain_err() -> None:
        while chunk := channel.recv_stderr(1 << 16):
            err.extend(chunk)

    reader = threading.Thread(target=drain_err, daemon=True)
    reader.start()
    out = bytearray()
    while chunk := channel.recv(1 << 16):
        out.extend(chunk)
    reader.join()
    return bytes(out), bytes(err)


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
    """A tar of these files: readable by their owner's group and others as the umask there allows."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(str(name))
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _pieces(source: Path, start: int, progress: Callable[[int], None]) -> Iterator[bytes]:
    with source.open("rb") as file:
        file.seek(start)
        while piece := file.read(PIECE):
            yield piece
            progress(len(piece))


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")
