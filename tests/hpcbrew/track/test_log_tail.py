import os
import resource
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.errors import TransportError
from hpcbrew.track import lasting, log_tail
from hpcbrew.track.log_tail import Lines, LogTail
from hpcbrew.transports.base import FilePart
from hpcbrew.transports.local import Local
from hpcbrew.transports.local_reader import LocalReader


def tail(path: Path, reader: LocalReader | None = None) -> LogTail:
    return LogTail(reader or LocalReader(), PurePosixPath(path), pytest.fail)


def grown(log: LogTail) -> bytes:
    return b"".join(log.grown())


def test_what_is_new_is_given_once_and_a_log_that_is_begun_anew_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "scheduler.log"
    log = tail(path)
    assert (grown(log), log.found) == (b"", False)
    given = []
    for data in (b"first", b"first", b"first link\n", b"second\n", b"second\nlink\n", b"third, and longer than that\n"):
        path.write_bytes(data)
        given.append(grown(log))
    assert given == [b"first", b"", b" link\n", b"second\n", b"link\n", b"third, and longer than that\n"]
    assert log.found


def test_a_log_that_is_replaced_goes_on_where_it_holds_what_was_read(tmp_path: Path) -> None:
    """The records of a site's own Caffe are replaced by longer ones each time."""
    path = tmp_path / "metrics.jsonl"
    log = tail(path)
    given = []
    for data in (b"1\n2\n", b"1\n2\n3\n", None, b"1\n2\n3\n4\n", b"another\n"):
        if data is None:
            path.unlink()
        else:
            (tmp_path / "new").write_bytes(data)
            (tmp_path / "new").rename(path)
        given.append(grown(log))
    assert given == [b"1\n2\n", b"3\n", b"", b"4\n", b"another\n"]


def test_a_log_comes_in_pieces_that_are_one_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "PIECE", 5000)
    path, written = tmp_path / "log", os.urandom(33_333)
    path.write_bytes(written)
    log = tail(path)
    pieces = list(log.grown())
    assert b"".join(pieces) == written
    assert max(map(len, pieces)) <= 5000
    path.write_bytes(written * 2)
    assert grown(log) == written


def test_a_log_that_shrinks_while_it_is_read_ends_the_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "PIECE", 5000)
    path = tmp_path / "log"
    path.write_bytes(b"x" * 20_000)
    log = tail(path)
    pieces = log.grown()
    next(pieces)
    path.write_bytes(b"anew\n")
    assert list(pieces) == [b"anew\n"]
    assert grown(log) == b""


def test_a_connection_that_drops_is_told_and_nothing_is_given_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dropping(LocalReader):
        left = 2

        def read(self, path: PurePosixPath, start: int, size: int, unless: str = "") -> FilePart | None:
            if self.left:
                self.left -= 1
                raise TransportError("the connection was cut", retryable=True)
            return super().read(path, start, size, unless)

    monkeypatch.setattr(lasting, "PAUSE", 0.01)
    (tmp_path / "train.log").write_bytes(b"1\n")
    told: list[str] = []
    log = LogTail(Dropping(), PurePosixPath(tmp_path / "train.log"), told.append)
    assert grown(log) == b"1\n"
    assert grown(log) == b""
    assert told == ["the connection was cut; connecting again"] * 2
    with pytest.raises(TransportError, match="cut"):
        grown(LogTail(Dropping(), PurePosixPath(tmp_path / "train.log")))


@pytest.mark.parametrize(
    ("data", "count", "last"),
    [
        (b"1\n2\n3", 0, b""),
        (b"1\n2\n3", 1, b"3"),
        (b"1\n2\n3", 2, b"2\n3"),
        (b"1\n2\n3\n", 2, b"2\n3\n"),
        (b"1\n2\n3", 9, b"1\n2\n3"),
        (b"\n\n\n", 2, b"\n\n"),
        (b"", 3, b""),
        (b"\0\0\n\0", 1, b"\0"),
    ],
)
@pytest.mark.parametrize("piece", [1, 2, 64])
def test_the_last_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, count: int, last: bytes, piece: int
) -> None:
    monkeypatch.setattr(log_tail, "FIRST_PIECE", piece)
    path = tmp_path / "log"
    path.write_bytes(data)
    log = tail(path)
    assert log.skip_to_last(count)
    assert grown(log) == last
    path.write_bytes(data + b"more\n")
    assert grown(log) == b"more\n"


def test_the_last_lines_of_10_gb_are_read_from_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.truncate(10**10)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + b"".join(b"Iteration %d\n" % n for n in range(9)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    log = tail(path)
    assert log.skip_to_last(5)
    assert grown(log).split() == [word for n in range(4, 9) for word in (b"Iteration", b"%d" % n)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024  # KiB


def test_last_lines_without_end_are_looked_for_so_far_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tail, "BACK", 2**17)
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.truncate(10**10)
    log = tail(path)
    assert not log.skip_to_last(5)
    assert 2**17 <= len(grown(log)) < 2**20


def test_lines_are_whole_and_long_ones_come_in_parts() -> None:
    lines = Lines(most=4)
    found = [line for piece in (b"a\n", b"b", b"c\n\nde", b"fghij", b"k\nl") for line in lines.whole(piece)]
    whole = [(b"a", True), (b"bc", True), (b"", True)]
    assert found == [*whole, (b"defg", False), (b"hijk", True)]
    assert lines.rest() == b"l"


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(TransportError, match="is not a regular file and is not read"):
            grown(tail(path))
        with pytest.raises(TransportError, match="is not a regular file and is not read"):
            Local().read(PurePosixPath(path), 0, 10)
