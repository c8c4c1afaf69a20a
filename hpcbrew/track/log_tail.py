"""Files that grow, as bytes: a log, or the engine's metrics. Never more than a piece of one is in memory."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from hpcbrew.track.lasting import Say, lasting
from hpcbrew.transports.base import FilePart, FileReader, Transport

PIECE = 2**21
"""Bytes that are read at a time."""

FIRST_PIECE = 2**16
"""The same while the last lines are looked for: most are short."""

KNOWN = 2**10
"""Bytes before the next that are read once more: they tell a file that goes on from one that was begun anew. Another
file of the name may go on from it too: records are replaced by longer ones."""

BACK = 2**28
"""Bytes from the end in which the last lines are looked for."""

LINE = 2**24
"""Bytes of a line; a longer one is given in parts."""


class LogTail:
    """What has been read of a file that grows. One that is begun anew is read from its start: PBS writes its own log
    again for each job of a chain. What was taken away may come again.

    `found`: whether there is such a file by now. `say` is told of each connection that drops; without it, that is
    raised as TransportError, as is what cannot be read at all.
    """

    def __init__(self, reader: FileReader, path: PurePosixPath, say: Say | None = None) -> None:
        self.found = False
        self._reader, self._path, self._say = reader, path, say
        self._version, self._position, self._known = "", 0, b""

    def skip_to_last(self, count: int) -> bool:
        """Leaves out all but the last `count` lines. False where these are longer than BACK: then that much is left."""
        now = self._read(0, 0)
        if now is None:
            return True
        start, whole = self._last_lines(now.size, count) if count else (now.size, True)
        self._go_to(start)
        return whole

    def skip_to_end(self, size: int) -> bool:
        """Leaves out all but the last `size` bytes; whether there was anything before them."""
        now = self._read(0, 0)
        if now is None or now.size <= size:
            return False
        self._go_to(now.size - size)
        return True

    def _go_to(self, position: int) -> None:
        before = self._read(max(position - KNOWN, 0), min(position, KNOWN))
        self._position, self._known = position, before.data if before else b""

    def grown(self) -> Iterator[bytes]:
        """What is new up to now, in pieces of at most PIECE bytes."""
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
        """What is known of the file last, and what comes after."""
        return self._read(self._position - len(self._known), PIECE, unless)

    def _new(self, part: FilePart) -> bytes:
        """What comes after what is known; where that is not there any more, the first piece. Empty where it is being
        begun anew just now."""
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
        """Where the last lines begin, looked for from the end, and whether that was found."""
        end, piece = size, FIRST_PIECE
        while end > 0:
            if size - end >= BACK:
                return end, False
            start = max(end - piece, 0)
            part = self._read(start, end - start)
            data = part.data if part else b""
            # The end of the last line begins none.
            place = len(data) - 1 if end == size and data.endswith(b"\n") else len(data)
            here = data.count(b"\n", 0, place)
            if here >= count:
                for _ in range(count):
                    place = data.rfind(b"\n", 0, place)
                return start + place + 1, True
            count -= here
            end, piece = start, min(piece * 2, PIECE)
        return 0, True

    def _read(self, start: int, size: int, unless: str = "") -> FilePart | None:
        def step() -> FilePart | None:
            return self._reader.read(self._path, start, size, unless)

        return lasting(step, self._say) if self._say else step()


def last_bytes(transport: Transport, path: PurePosixPath, count: int) -> bytes:
    """The last `count` bytes of a file; none where there is no such file."""
    reader = transport.reader()
    try:
        whole = reader.read(path, 0, 0)
        part = reader.read(path, max(whole.size - count, 0), count) if whole else None
    finally:
        reader.close()
    return part.data if part else b""


class Lines:
    """Lines out of pieces, without their ends. One longer than LINE comes in parts."""

    def __init__(self, most: int = LINE) -> None:
        self._begun, self._most = bytearray(), most

    def whole(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Those that `data` ends, and whether each is whole up to there: a part that goes on is not."""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._begun += data[start:end]
            yield bytes(self._begun), True
            self._begun.clear()
            start = end + 1
        self._begun += data[start:]
        while len(self._begun) > self._most:
            yield bytes(self._begun[: self._most]), False
            del self._begun[: self._most]

    def rest(self) -> bytes:
        """What has begun and has no end yet."""
        return bytes(self._begun)
