from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.errors import TransportError
from hpcbrew.track import follow
from hpcbrew.track.log_tail import LogTail, last_lines
from hpcbrew.transports.local import Local


def test_what_is_new_is_given_once_and_a_log_that_is_begun_anew_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "scheduler.log"
    tail = LogTail(Local(), PurePosixPath(log), pytest.fail)
    assert (tail.grown(), tail.found) == (b"", False)
    given = []
    for data in (b"first", b"first", b"first link\n", b"second\n", b"second\nlink\n"):
        log.write_bytes(data)
        given.append(tail.grown())
    assert given == [b"first", b"", b" link\n", b"second\n", b"link\n"]
    assert tail.found


def test_a_connection_that_drops_is_told_and_nothing_is_given_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dropping(Local):
        left = 2

        def read(self, path: PurePosixPath, start: int = 0, size: int | None = None) -> bytes | None:
            if self.left:
                self.left -= 1
                raise TransportError("the connection was cut", retryable=True)
            return super().read(path, start, size)

    monkeypatch.setattr(follow, "LOCAL", (0.01, 0.01))
    (tmp_path / "train.log").write_bytes(b"1\n")
    told: list[str] = []
    tail = LogTail(Dropping(), PurePosixPath(tmp_path / "train.log"), told.append)
    assert tail.grown() == b"1\n"
    assert tail.grown() == b""
    assert told == ["the connection was cut; connecting again"] * 2


@pytest.mark.parametrize(("count", "last"), [(0, b""), (1, b"3"), (2, b"2\n3"), (9, b"1\n2\n3")])
def test_the_last_lines(count: int, last: bytes) -> None:
    assert last_lines(b"1\n2\n3", count) == last
