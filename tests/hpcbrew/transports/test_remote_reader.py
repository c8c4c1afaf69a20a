"""Parts of files over one session, with both clients and a real server."""

import base64
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

import pytest
from support import sshd

from hpcbrew.errors import TransportError, Unanswered
from hpcbrew.track import log_tail
from hpcbrew.track.log_tail import LogTail
from hpcbrew.transports import process
from hpcbrew.transports.base import FilePart
from hpcbrew.transports.openssh import OpenSsh
from hpcbrew.transports.paramiko_ssh import Ssh
from hpcbrew.transports.process import CommandOutput
from hpcbrew.transports.prompt import Unattended
from hpcbrew.transports.remote_reader import RemoteReader
from hpcbrew.transports.remote_shell import RemoteShell


@pytest.fixture(params=["ssh", "openssh"])
def cluster(
    request: pytest.FixtureRequest, server: sshd.Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RemoteShell]:
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        if request.param == "ssh":
            transport: Ssh | OpenSsh = Ssh("cluster", Unattended(), server.resolve)
        else:
            transport = OpenSsh("cluster", attended=False, config=server.config)
        yield transport
        transport.disconnect()


def data(part: FilePart | None) -> bytes:
    assert part is not None
    return part.data


def test_parts_come_as_they_lie_there(cluster: RemoteShell, tmp_path: Path) -> None:
    written = bytes(range(256)) * 8192
    path = PurePosixPath(tmp_path / "a 'b'\n$(c) é")
    Path(path).write_bytes(written)
    reader = cluster.reader()
    for start, size in ((0, 0), (0, 10), (len(written) - 3, 10), (5, len(written)), (10**12, 5)):
        part = reader.read(path, start, size)
        assert part is not None
        assert (part.size, part.data == written[start : start + size]) == (len(written), True)
    assert reader.read(PurePosixPath(tmp_path / "none"), 0, 1) is None
    reader.close()
    assert data(reader.read(path, 1, 2)) == b"\1\2"  # another session
    reader.close()


def test_what_is_no_regular_file_is_told(cluster: RemoteShell, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = cluster.reader()
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(TransportError, match="is not a regular file and is not read"):
            reader.read(PurePosixPath(path), 0, 10)
    reader.close()


def test_a_cut_between_two_questions_is_not_noticed(cluster: RemoteShell, server: sshd.Server, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"12345")
    path, reader = PurePosixPath(tmp_path / "log"), cluster.reader()
    assert data(reader.read(path, 0, 2)) == b"12"
    server.cut()
    assert data(reader.read(path, 2, 9)) == b"345"
    reader.close()


def test_the_other_side_ends_when_it_is_left(cluster: RemoteShell, tmp_path: Path) -> None:
    reader = cluster.reader()
    assert reader.read(PurePosixPath(tmp_path / "none"), 0, 0) is None
    assert reader._session is not None
    shell = reader._session._received.greeting.split()[-2].decode()
    assert Path(f"/proc/{shell}").exists()
    reader.close()
    assert sshd.ended(shell)


def test_the_last_lines_of_10_gb_cost_a_second_and_little_memory(cluster: RemoteShell, tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    with path.open("wb") as file:
        file.truncate(10**10)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + b"".join(b"Iteration %d\n" % n for n in range(9)))
    cluster.run(["true"], PurePosixPath("/"))  # connected
    reader, begun = cluster.reader(), time.monotonic()
    log = LogTail(reader, PurePosixPath(path))
    assert log.skip_to_last(5)
    assert b"".join(log.grown()) == b"".join(b"Iteration %d\n" % n for n in range(4, 9))
    assert time.monotonic() - begun < 10  # a second, on a machine that has nothing else to do
    reader.close()


def test_a_log_of_many_pieces_is_one_log(cluster: RemoteShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "PIECE", 100_000)
    written = os.urandom(1_234_567)
    (tmp_path / "log").write_bytes(written)
    reader = cluster.reader()
    assert b"".join(LogTail(reader, PurePosixPath(tmp_path / "log")).grown()) == written
    reader.close()


def answering(answer: Callable[[bytes, CommandOutput], None]) -> RemoteReader:
    """A reader whose other side is `answer`, which is given each request and the mark."""

    def channel(command: str, stdin: Iterable[bytes], output: CommandOutput, idle_timeout: float) -> int:
        encoded = re.search(r"echo (\S+) \| base64", command)
        assert encoded
        mark = re.search(r"--[0-9a-f]{16}--", base64.b64decode(encoded[1]).decode())
        assert mark
        output.out.extend(f"Welcome!\n\n12 {mark[0]}\n".encode())
        for request in stdin:
            if request != b"\n":
                answer(mark[0].encode(), output)
        return 0

    return RemoteReader("there", lambda step: step(0), channel)


def test_an_answer_of_more_than_was_asked_for_is_refused() -> None:
    def endless(mark: bytes, output: CommandOutput) -> None:
        for _ in range(20):
            output.out.extend(b"x" * 2**16)

    def long(mark: bytes, output: CommandOutput) -> None:
        output.out.extend(b"x" * 100 + b"\n" + mark + b" 1:1:100\n")

    for answer in (endless, long):
        reader = answering(answer)
        with pytest.raises(TransportError, match="the answer is longer than requested"):
            reader.read(PurePosixPath("/log"), 0, 10)


def test_an_answer_that_says_nothing_of_the_file_is_told() -> None:
    reader = answering(lambda mark, output: output.out.extend(b"\n" + mark + b" stat: - : \x1b[31mStale file handle\n"))
    with pytest.raises(TransportError, match=r"/log: cannot be read on there: .*Stale file handle"):
        reader.read(PurePosixPath("/log"), 0, 10)


def test_no_answer_is_waited_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "IDLE_TIMEOUT", 0.2)
    reader = answering(lambda mark, output: output.out.extend(b"x"))
    with pytest.raises(Unanswered, match="reading /log gave no answer"):
        reader.read(PurePosixPath("/log"), 0, 10)


def test_a_machine_without_bash_is_told() -> None:
    def channel(command: str, stdin: Iterable[bytes], output: CommandOutput, idle_timeout: float) -> int:
        output.err.extend(b"bash: not found")
        return 127

    reader = RemoteReader("there", lambda step: step(0), channel)
    with pytest.raises(TransportError, match="there: no bash answered there: bash: not found"):
        reader.read(PurePosixPath("/log"), 0, 10)


def test_a_part_that_comes_in_many_pieces_is_one() -> None:
    def slow(mark: bytes, output: CommandOutput) -> None:
        for byte in b"12345\n" + mark + b" 7:8:5\n":
            output.out.extend(bytes([byte]))

    assert answering(slow).read(PurePosixPath("/log"), 0, 10) == FilePart("7:8:5", 5, b"12345")
