"""A job's log as it grows, in bytes."""

from pathlib import PurePosixPath

from hpcbrew.track.follow import Say, lasting
from hpcbrew.transports.base import Transport


class LogTail:
    """What has been read of a log. PBS writes its own anew for each job of a chain: that is read from its start.

    `found`: whether there is such a log by now. `say` is told of each connection that drops.
    """

    def __init__(self, transport: Transport, path: PurePosixPath, say: Say) -> None:
        self.found = False
        self._transport, self._path, self._say = transport, path, say
        self._size, self._last = 0, b""

    def grown(self) -> bytes:
        """What is new. The last byte that is known is read once more: it tells a log that goes on from another."""
        data = lasting(lambda: self._transport.read(self._path, max(self._size - 1, 0)), self._say)
        if data is None:
            return b""
        if data[:1] != self._last and self._size:
            data, self._size = lasting(lambda: self._transport.read(self._path), self._say) or b"", 0
        elif self._size:
            data = data[1:]
        self.found = True
        self._size, self._last = self._size + len(data), data[-1:] or self._last
        return data


def last_lines(data: bytes, count: int) -> bytes:
    """The last `count` lines of `data`."""
    return b"".join(data.splitlines(keepends=True)[-count:]) if count else b""
