"""This machine as a cluster: runs commands and writes files here."""

import contextlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from engine.host.atomic_file import replace
from hpcbrew import full_disk, layout
from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError, Unanswered
from hpcbrew.paths import data_home
from hpcbrew.transports import process
from hpcbrew.transports.base import Contents, OnBytes
from hpcbrew.transports.local_reader import LocalReader, read_file, read_record
from hpcbrew.transports.process import CommandOutput

PIECE = 2**20  # bytes read and written at a time
NOT_FOUND = 127  # as a shell says it, and so every other transport


class Local:
    """The transport of the `local` cluster."""

    def root(self, pattern: str) -> PurePosixPath:
        """Without a `scratch` in the profile, this is the user's own data folder."""
        path = os.path.expandvars(os.path.expanduser(pattern)) if pattern else str(data_home())  # noqa: PTH111
        if unset := re.search(r"\$\w+", path):
            raise TransportError(f"scratch: {pattern}: {unset[0]} is not set")
        return PurePosixPath(Path(path).absolute())

    def run(
        self,
        command: Sequence[str],
        folder: PurePosixPath,
        *,
        idempotent: bool = False,
        idle_timeout: float | None = None,
    ) -> CommandResult:
        output, idle_timeout = CommandOutput(), process.IDLE_TIMEOUT if idle_timeout is None else idle_timeout
        try:
            status = process.with_process(command, (), output, idle_timeout, folder, _in_english(os.environ))
        except OSError as error:
            if isinstance(error, FileNotFoundError) and error.filename == command[0]:
                return CommandResult(NOT_FOUND, "", f"{command[0]}: command not found\n")
            raise TransportError(f"{command[0]}: {error.strerror} ({error.filename})") from None
        if status in (process.SILENT, process.SLOW):
            limit = idle_timeout * (process.TIMES if status == process.SLOW else 1)
            raise Unanswered("this machine", process.named(command), limit)
        if status == process.ENDLESS:
            raise TransportError(
                f"{process.named(command)} printed more than {output.most // 2**20} MiB, and was ended"
            )
        return CommandResult(status, output.out.decode(errors="replace"), output.err.decode(errors="replace"))

    def make_folder(self, folder: PurePosixPath, files: Mapping[PurePosixPath, bytes]) -> None:
        final = Path(folder)
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{final.name}.", dir=final.parent) as temporary:
                for name, data in files.items():
                    path = Path(temporary) / "new" / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    _write(path, data, layout.mode(name))
                (Path(temporary) / "new").rename(final)
        except OSError as error:
            raise TransportError(f"{final}: cannot make this folder: {_words(error, final)}") from None

    def remove_folder(self, folder: PurePosixPath) -> None:
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise TransportError(f"{folder}: cannot remove this folder: {error.strerror}") from None

    def read(self, path: PurePosixPath, start: int = 0, size: int | None = None) -> bytes | None:
        part = read_file(path, start, size)
        return None if part is None else part.data

    def reader(self) -> LocalReader:
        return LocalReader()

    def read_all(self, paths: Sequence[PurePosixPath]) -> list[Contents]:
        return [read_record(path) for path in paths]

    def add_files(self, folder: PurePosixPath, files: Mapping[PurePosixPath, bytes]) -> None:
        try:
            for name, data in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                replace(path, data)
        except OSError as error:
            raise TransportError(f"{folder}: cannot write files there: {_words(error, path)}") from None

    def write(self, source: Path, target: PurePosixPath, start: int, size: int, on_bytes: OnBytes) -> None:
        try:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            Path(target).touch()
            with source.open("rb") as data, Path(target).open("r+b") as file:
                file.seek(start)
                data.seek(start)
                while size and (piece := data.read(min(PIECE, size))):
                    file.write(piece)
                    size -= len(piece)
                    on_bytes(len(piece))
        except OSError as error:
            raise TransportError(f"{target}: cannot be written: {_words(error, Path(target))}") from None

    def sizes(self, folder: PurePosixPath) -> dict[PurePosixPath, int]:
        """Ignores links, since their targets may be anywhere."""
        sizes = {}
        for parent, _, names in os.walk(folder):
            for path in (Path(parent, name) for name in names):
                with contextlib.suppress(FileNotFoundError):
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode):
                        sizes[PurePosixPath(path.relative_to(folder))] = status.st_size
        return sizes

    def names(self, folder: PurePosixPath) -> list[str]:
        try:
            return sorted(path.name for path in Path(folder).iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise TransportError(f"{folder}: {error.strerror}") from None


def _in_english(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment with messages in English, since some are parsed, but with the user's character set."""
    characters = next((value for key in ("LC_ALL", "LC_CTYPE", "LANG") if (value := environment.get(key))), "")
    other_variables = {key: value for key, value in environment.items() if key not in ("LC_ALL", "LANGUAGE")}
    return {**other_variables, **({"LC_CTYPE": characters} if characters else {}), "LC_MESSAGES": "C"}


def _words(error: OSError, path: Path) -> str:
    """Returns the system's message and the file it is about: `path` if the error does not name one."""
    return f"{error.strerror} ({error.filename or path}){full_disk.remedy(error.strerror)}"


def _write(path: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
