"""Reads growing files, such as logs and the engine's metrics, as bytes, with never more than a piece in memory."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from hpcbrew.track.lasting import Say, lasting
from hpcbrew.transports.base import FilePart, FileReader, Transport

PIECE = 2**21
"""Bytes read at a time."""

FIRST_PIECE = 2**16
"""The first piece when searching for the last lines, most of which are short."""

KNOWN = 2**10
"""Bytes before the current position that are read again, to tell a file that grew from one that was started anew. A new
file of the same name may also continue the old contents: records are replaced by longer ones."""

BACK = 2**28
"""Bytes at the end that are searched for the last lines."""

LINE = 2**24
"""The most bytes of a line; a longer one is given in parts."""


class LogTail:
    """Follows a growing file. A file that is started anew is read from its start: PBS writes its own log again for each
    job of a chain. A file that disappears may appear again.

    `found`: whether the file has been seen. `say` is called for each dropped connection; without it, that is raised as
    TransportError, as is a file that cannot be read at all.
    """

    def __init__(self, reader: FileReader, path: PurePosixPath, say: Say | None = None) -> None:
        self.found = False
        self._reader, self._path, self._say = reader, path, say
        self._version, self._position, self._known = "", 0, b""

    def skip_to_last(self, count: int) -> bool:
        """Skips all but the last `count` lines. Returns False if these are longer than BACK; then only BACK bytes
        remain."""
        part = self._read(0, 0)
        if part is None:
            return True
        start, complete = self._last_lines(part.size, count) if count else (part.size, True)
        self._go_to(start)
        return complete

    def skip_to_end(self, size: int) -> bool:
        """Skips all but the last `size` bytes. Returns whether there was anything before them."""
        part = self._read(0, 0)
        if part is None or part.size <= size:
            return False
        self._go_to(part.size - size)
        return True

    def _go_to(self, position: int) -> None:
        part = self._read(max(position - KNOWN, 0), min(position, KNOWN))
        self._position, self._known = position, part.data if part else b""

    def grown(self) -> Iterator[bytes]:
        """Yields what is new so far, in pieces of at most PIECE bytes."""
        part = self._after(self._version)
        if part is None:
            return
        self.found = True
        if part.version == self._version:
            return
        end, self._version = part.size, part.version
        while part is not None and (data := self._new(part)):
            yield data
            if self._position >= end:
                return
            part = self._after()

    def _after(self, unless: str = "") -> FilePart | None:
        """Reads the last known bytes and what follows them."""
        return self._read(self._position - len(self._known), PIECE, unless)

    def _new(self, part: FilePart) -> bytes:
        """Returns what follows the known bytes; if these are no longer there, the first piece of the new file. Empty if
        the file is being replaced at this moment."""
        known = self._known
        if not part.data.startswith(known):
            known, self._position, anew = b"", 0, self._read(0, PIECE)
            if anew is None:
                return b""
            part = anew
        self._position += len(part.data) - len(known)
        self._known = part.data[-KNOWN:]
        return part.data[len(known) :]

    def _last_lines(self, size: int, count: int) -> tuple[int, bool]:
        """Searches backwards for the start of the last lines. Returns a position and whether it is that start."""
        end, piece = size, FIRST_PIECE
        while end > 0:
            if size - end >= BACK:
                return end, False
            start = max(end - piece, 0)
            part = self._read(start, end - start)
            data = part.data if part else b""
            # The newline at the end of the file starts no further line.
            place = len(data) - 1 if end == size and data.endswith(b"\n") else len(data)
            newlines = data.count(b"\n", 0, place)
            if newlines >= count:
                for _ in range(count):
                    place = data.rfind(b"\n", 0, place)
                return start + place + 1, True
            count -= newlines
            end, piece = start, min(piece * 2, PIECE)
        return 0, True

    def _read(self, start: int, size: int, unless: str = "") -> FilePart | None:
        def step() -> FilePart | None:
            return self._reader.read(self._path, start, size, unless)

        return lasting(step, self._say) if self._say else step()


def last_bytes(transport: Transport, path: PurePosixPath, count: int) -> bytes:
    """Returns the last `count` bytes of a file; none if there is no such file."""
    reader = transport.reader()
    try:
        file = reader.read(path, 0, 0)
        part = reader.read(path, max(file.size - count, 0), count) if file else None
    finally:
        reader.close()
    return part.data if part else b""


class Lines:
    """Splits pieces into lines, without their newlines. A line longer than `most` comes in parts."""

    def __init__(self, most: int = LINE) -> None:
        self._partial, self._most = bytearray(), most

    def whole(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yields the lines that `data` completes, each with True, and parts of an overlong line with False."""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._partial += data[start:end]
            yield bytes(self._partial), True
            self._partial.clear()
            start = end + 1
        self._partial += data[start:]
        while len(self._partial) > self._most:
            yield bytes(self._partial[: self._most]), False
            del self._partial[: self._most]

    def rest(self) -> bytes:
        """Returns the incomplete last line."""
        return bytes(self._partial)
