import contextlib
import hashlib
import threading
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.errors import RequestError, TransportError
from hpcbrew.job import Upload
from hpcbrew.plan import digests
from hpcbrew.plan.items import Item
from hpcbrew.transfer import disk_space
from hpcbrew.transfer import upload as shipping
from hpcbrew.transfer.disk_space import Room
from hpcbrew.transfer.upload import ship
from hpcbrew.transports.local import Local


class Faulty(Local):
    """Breaks off after so many bytes of a large file, as a dropped connection does that cannot be made again."""

    left = 10**9
    sent = 0

    def write(self, source, target, start, size, progress):
        def counted(size: int) -> None:
            self.sent += size
            progress(size)
            if self.sent > self.left:
                raise TransportError("cut", retryable=True)

        super().write(source, target, start, size, counted)


@pytest.fixture
def uploads(tmp_path: Path) -> list[Upload]:
    folder = tmp_path / "db"
    folder.mkdir()
    (folder / "large").write_bytes(bytes(range(256)) * 20000)
    for i in range(3):
        (folder / f"small {i}\\").write_bytes(b"x" * i)
    names = tuple(PurePosixPath(p.name) for p in sorted(folder.iterdir()))
    measured = digests.measure(Item("database", folder, names))
    base = digests.place(measured)
    return [
        Upload(base / n, s, d, source=folder / n)
        for n, s, d in zip(names, measured.sizes, measured.digests, strict=True)
    ]


def arrived(root: Path, uploads: list[Upload]) -> bool:
    return all(hashlib.sha256((root / u.target).read_bytes()).hexdigest() == u.sha256 for u in uploads)


def test_data_arrive_whole_and_leave_no_part_behind(tmp_path: Path, uploads: list[Upload]) -> None:
    root, told = tmp_path / "scratch", []
    ship(uploads, PurePosixPath(root), Local(), told.append)
    assert arrived(root, uploads)
    assert sum(told) == sum(u.size for u in uploads)
    assert [p.name for p in (root / "data").iterdir()] == [uploads[0].target.parts[1]]


def test_what_is_there_is_not_sent_again(tmp_path: Path, uploads: list[Upload]) -> None:
    transport = Faulty()
    for _ in range(2):
        ship(uploads, PurePosixPath(tmp_path / "scratch"), transport, lambda size: None)
    assert transport.sent == uploads[0].size


def test_a_file_that_broke_off_goes_on_where_it_was(tmp_path, uploads, monkeypatch) -> None:
    monkeypatch.setattr(shipping, "CHUNK", 2**20)
    monkeypatch.setattr(shipping, "STREAMS", 1)
    root, transport = tmp_path / "scratch", Faulty()
    transport.left = 2**20
    with pytest.raises(TransportError, match="cut"):
        ship(uploads, PurePosixPath(root), transport, lambda size: None)
    assert uploads[0].target.parts[1] not in [p.name for p in (root / "data").iterdir()]
    transport.left = 10**9
    ship(uploads, PurePosixPath(root), transport, lambda size: None)
    assert arrived(root, uploads)
    assert transport.sent <= uploads[0].size + shipping.CHUNK


ROOM = Room(10**9, 5_119_999, "quota")  # a byte less than the large file has


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each folder whose room was asked for: it has `ROOM`."""
    folders: list[str] = []
    monkeypatch.setattr(disk_space, "ask", lambda transport, them: folders.extend(them) or dict.fromkeys(them, ROOM))
    return folders


@pytest.mark.parametrize(("written", "told"), [(10 * 2**20, 0), (2 * 2**30, 1)])
def test_a_job_that_sends_nothing_asks_for_room_for_many_snapshots(
    tmp_path: Path, asked: list[str], written: int, told: int
) -> None:
    said: list[str] = []
    ship([], PurePosixPath(tmp_path), Local(), lambda size: None, said.append, written)
    assert len(asked) == len(said) == told


def test_data_that_do_not_fit_are_refused_before_anything_is_sent(
    tmp_path: Path, uploads: list[Upload], asked: list[str]
) -> None:
    root, transport = tmp_path / "scratch", Faulty()
    with pytest.raises(RequestError, match=r"4\.9 MiB must be sent.*nothing was sent"):
        ship(uploads, PurePosixPath(root), transport, lambda size: None)
    assert (asked, transport.sent, root.exists()) == ([str(root)], 0, False)


def test_what_has_arrived_already_needs_no_room(tmp_path, uploads, asked, monkeypatch) -> None:
    monkeypatch.setattr(shipping, "CHUNK", 2**20)
    monkeypatch.setattr(shipping, "STREAMS", 1)
    root, transport, warned = tmp_path / "scratch", Faulty(), []
    transport.left = 2**20
    with monkeypatch.context() as roomy:
        roomy.setattr(disk_space, "ask", lambda transport, folders: {})
        with pytest.raises(TransportError, match="cut"):
            ship(uploads, PurePosixPath(root), transport, lambda size: None)
    transport.left = 10**9
    ship(uploads, PurePosixPath(root), transport, lambda size: None, warned.append)
    assert arrived(root, uploads)
    assert len(warned) == 1


def test_room_is_not_asked_for_where_nothing_is_sent(tmp_path: Path, uploads: list[Upload], monkeypatch) -> None:
    ship(uploads, PurePosixPath(tmp_path), Local(), lambda size: None)
    monkeypatch.delattr(disk_space, "ask")
    ship(uploads, PurePosixPath(tmp_path), Local(), lambda size: None)


def test_a_file_that_changed_on_the_way_is_not_kept(tmp_path: Path, uploads: list[Upload]) -> None:
    assert uploads[0].source is not None
    uploads[0].source.write_bytes(b"y" * uploads[0].size)
    root = tmp_path / "scratch"
    with pytest.raises(TransportError, match="was damaged on the way"):
        ship(uploads, PurePosixPath(root), Local(), lambda size: None)
    assert list((root / "data").iterdir()) == []


def test_ctrl_c_ends_all_streams_at_once(tmp_path: Path, uploads: list[Upload], monkeypatch) -> None:
    monkeypatch.setattr(shipping, "CHUNK", 2**20)
    stopped = threading.Event()

    class Slow(Local):
        """One stream ends by Ctrl-C; the others would send for ever."""

        def write(self, source, target, start, size, progress):
            if start == 0:
                raise KeyboardInterrupt
            with contextlib.suppress(InterruptedError):
                while True:
                    progress(1)
            stopped.set()

    with pytest.raises(KeyboardInterrupt):
        ship(uploads, PurePosixPath(tmp_path / "scratch"), Slow(), lambda size: None)
    assert stopped.is_set()
