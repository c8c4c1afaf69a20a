import contextlib
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from support import mac

from hpcbrew.address import Address
from hpcbrew.command_result import CommandResult
from hpcbrew.errors import RequestError, TransportError
from hpcbrew.job import JobRecord, JobState, JobStatus
from hpcbrew.transfer import download as fetching
from hpcbrew.transports.base import Transport
from hpcbrew.transports.local import Local

LARGE = bytes(range(256)) * 80_000


class Counted(Local):
    """Counts the bytes read, and breaks off after `left` of them."""

    got, left = 0, 10**9

    def read(self, path, start=0, size=None):
        if self.got > self.left:
            raise TransportError("cut", retryable=True)
        data = super().read(path, start, size)
        self.got += len(data or b"")
        return data


@pytest.fixture
def record(tmp_path: Path) -> JobRecord:
    run = tmp_path / "run"
    (run / "snapshots").mkdir(parents=True)
    (run / "other").mkdir()
    (run / "train.log").write_text("one\n")
    (run / "other" / "file").write_text("not ours")
    (run / "snapshots" / "lenet_iter_5.caffemodel").write_bytes(LARGE)
    address = Address("local", "local", "local")
    return JobRecord("t", "lenet", address, "s", 0.0, PurePosixPath(run), JobStatus(JobState.RUNNING))


def fetch(record: JobRecord, transport: Local, into: Path) -> None:
    fetching.fetch(record, fetching.wanted(record, transport), transport, into, lambda size: None)


def files(folder: Path) -> dict[str, bytes]:
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if name != fetching.OWNER}


def test_results_come_home_whole(record: JobRecord, tmp_path: Path) -> None:
    fetch(record, Local(), tmp_path / "into")
    assert files(tmp_path / "into") == {"train.log": b"one\n", "snapshots/lenet_iter_5.caffemodel": LARGE}


def test_the_points_of_a_sweep_come_along(record: JobRecord, tmp_path: Path) -> None:
    point = Path(record.run_folder) / "points" / "2"
    point.mkdir(parents=True)
    (point / "train.log").write_text("two\n")
    fetch(record, Local(), tmp_path / "into")
    assert files(tmp_path / "into")["points/2/train.log"] == b"two\n"


def test_the_folder_of_a_point_bears_its_settings(record: JobRecord, tmp_path: Path) -> None:
    point = Path(record.run_folder) / "points" / "2"
    point.mkdir(parents=True)
    (point / "train.log").write_text("two\n")
    settings = ({"base_lr": "0.1"}, {"base_lr": "0.2", "net": "../a b"})
    wanted = fetching.wanted(record, Local())
    fetched = fetching.fetch(record, wanted, Local(), tmp_path / "into", lambda size: None, points=settings)
    place = "points/2,base_lr=0.2,net=..-a-b/train.log"
    assert files(tmp_path / "into")[place] == b"two\n"
    assert fetched.places[PurePosixPath("points/2/train.log")] == tmp_path / "into" / place


def test_a_model_is_fetched_once_and_a_log_that_grew_again(record: JobRecord, tmp_path: Path) -> None:
    fetch(record, Local(), tmp_path / "into")
    (Path(record.run_folder) / "train.log").write_text("one\ntwo\n")
    transport = Counted()
    fetch(record, transport, tmp_path / "into")
    assert transport.got == len("one\ntwo\n")
    assert (tmp_path / "into" / "train.log").read_text() == "one\ntwo\n"


def test_a_model_that_is_another_by_now_is_fetched_again(record: JobRecord, tmp_path: Path) -> None:
    fetch(record, Local(), tmp_path / "into")
    (tmp_path / "into" / "snapshots" / "lenet_iter_5.caffemodel").write_bytes(LARGE[::-1])
    fetch(record, Local(), tmp_path / "into")
    assert files(tmp_path / "into")["snapshots/lenet_iter_5.caffemodel"] == LARGE


def test_a_mac_s_own_results_come_home_once(record: JobRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(mac.commands(tmp_path / "mac")))
    fetch(record, Local(), tmp_path / "into")
    transport = Counted()
    fetch(record, transport, tmp_path / "into")
    assert (transport.got, files(tmp_path / "into")["snapshots/lenet_iter_5.caffemodel"]) == (0, LARGE)


def test_files_of_the_same_names_are_the_users_own(record: JobRecord, tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "train.log").write_text("mine\n")
    with pytest.raises(RequestError, match=r"into: has train.log, which .* name another folder with --into"):
        fetch(record, Local(), tmp_path / "into")
    assert files(tmp_path / "into") == {"train.log": b"mine\n"}


def test_a_folder_is_of_one_job(record: JobRecord, tmp_path: Path) -> None:
    fetch(record, Local(), tmp_path / "into")
    with pytest.raises(RequestError, match="were not fetched from this job"):
        fetch(replace(record, token="u"), Local(), tmp_path / "into")


def test_a_model_that_broke_off_goes_on_where_it_was(record: JobRecord, tmp_path: Path) -> None:
    transport = Counted()
    transport.left = fetching.PIECE
    with pytest.raises(TransportError, match="cut"):
        fetch(record, transport, tmp_path / "into")
    assert not (tmp_path / "into" / "snapshots" / "lenet_iter_5.caffemodel").exists()
    transport.left = 10**9
    fetch(record, transport, tmp_path / "into")
    assert files(tmp_path / "into")["snapshots/lenet_iter_5.caffemodel"] == LARGE
    assert transport.got <= len(LARGE) + 2 * len("one\n")


def test_a_part_of_something_else_is_found_out(record: JobRecord, tmp_path: Path) -> None:
    part = tmp_path / "into" / "snapshots" / ".lenet_iter_5.caffemodel.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"wrong" * 1000)
    with pytest.raises(TransportError, match="fetch it again"):
        fetch(record, Local(), tmp_path / "into")
    fetch(record, Local(), tmp_path / "into")
    assert files(tmp_path / "into")["snapshots/lenet_iter_5.caffemodel"] == LARGE


def test_a_name_that_leads_out_of_the_folder_is_refused(record: JobRecord, tmp_path: Path) -> None:
    names = {PurePosixPath("../evil"): 1}
    with pytest.raises(TransportError, match="leads out of the folder"):
        fetching.fetch(record, names, Local(), tmp_path / "into", lambda size: None)


def test_a_folder_that_is_a_link_to_itself_is_told(record: JobRecord, tmp_path: Path) -> None:
    (tmp_path / "into").symlink_to("into")
    with pytest.raises(TransportError, match=r"into: cannot be written: "):
        fetch(record, Local(), tmp_path / "into")


def test_a_run_folder_that_is_gone(record: JobRecord, tmp_path: Path) -> None:
    gone = JobRecord("t", "lenet", record.address, "s", 0.0, PurePosixPath(tmp_path / "gone"), record.status)
    with pytest.raises(TransportError, match="is empty or gone"):
        fetch(gone, Local(), tmp_path / "into")


ODD = [
    "a\u2028b.txt",
    "a\x0bb\x0cc\x85d",
    "a\nb\\c.txt",
    "a\rb",
    "caf\udce9.txt",
    "-n",
    "\x1b[31m",
    "é",
    "..a",
    "x" * 200,
]


def test_files_of_any_name_come_home_and_are_not_fetched_again(
    record: JobRecord, transport: Transport, tmp_path: Path
) -> None:
    for name in ODD:
        (Path(record.run_folder) / name).write_text(name, errors="surrogateescape")
    for _ in range(2):
        fetch(record, transport, tmp_path / "into")  # type: ignore[arg-type]
    fetched = files(tmp_path / "into")
    assert [name for name in ODD if fetched.get(name) != name.encode(errors="surrogateescape")] == ["..a"]


def test_what_a_cluster_calls_as_we_do_is_not_taken(record: JobRecord, tmp_path: Path) -> None:
    for name in (".hpcbrew", "snapshots/.lenet_iter_5.caffemodel.part", ".bashrc", "snapshots/.x/y"):
        path = Path(record.run_folder) / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("00000000")
    for _ in range(2):
        fetch(record, Local(), tmp_path / "into")
    assert (tmp_path / "into" / ".hpcbrew").read_text() == record.token
    assert files(tmp_path / "into") == {"train.log": b"one\n", "snapshots/lenet_iter_5.caffemodel": LARGE}


def test_links_are_not_followed(record: JobRecord, transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    run = Path(record.run_folder)
    (run / "key").symlink_to(tmp_path / "secret" / "key")
    (run / "points").symlink_to(tmp_path / "secret")
    (run / "snapshots" / "loop").symlink_to(run)
    (run / "dangling").symlink_to("nothing")
    os.mkfifo(run / "fifo")
    assert set(fetching.wanted(record, transport)) == {
        PurePosixPath("train.log"),
        PurePosixPath("snapshots/lenet_iter_5.caffemodel"),
    }


@pytest.mark.parametrize("name", ["/etc/passwd", "snapshots/../../evil", "points/../evil"])
def test_a_server_that_names_files_elsewhere_is_refused(record: JobRecord, tmp_path: Path, name: str) -> None:
    class Elsewhere(Local):
        def sizes(self, folder):
            return {PurePosixPath(name): 1}

    with contextlib.suppress(TransportError):
        fetch(record, Elsewhere(), tmp_path / "into")
    assert not (tmp_path / "evil").exists()
    with pytest.raises(TransportError, match="leads out of the folder"):
        fetching.fetch(record, {PurePosixPath(name): 1}, Local(), tmp_path / "into", lambda size: None)


def test_a_name_that_is_none_is_left_aside(record: JobRecord) -> None:
    class Nameless(Local):
        def sizes(self, folder):
            return {PurePosixPath(""): 0, PurePosixPath("train.log"): 4}

    assert fetching.wanted(record, Nameless()) == {PurePosixPath("train.log"): 4}


@pytest.mark.parametrize("said", ["", "x\n", "noise\n" * 2, "".join(f"{'0' * 64}  {n}\n" for n in range(5))])
def test_digests_that_are_none_are_refused(record: JobRecord, tmp_path: Path, said: str) -> None:
    class Odd(Local):
        def run(self, command, folder, **how):
            return CommandResult(0, said)

    fetch(record, Local(), tmp_path / "into")
    with pytest.raises(TransportError, match="digests could not be read"):
        fetch(record, Odd(), tmp_path / "into")


def test_of_two_fetches_into_one_folder_one_waits(record: JobRecord, tmp_path: Path) -> None:
    """Four at once, each by a process of its own."""
    code = (
        "import sys; from pathlib import Path, PurePosixPath; from hpcbrew.address import Address\n"
        "from hpcbrew.job import *; from hpcbrew.transfer import download; from hpcbrew.transports.local import Local\n"
        "record = JobRecord('t', 'lenet', Address('local', 'local', 'local'), 's', 0.0, PurePosixPath(sys.argv[1]),\n"
        "    JobStatus(JobState.RUNNING))\n"
        "files = download.wanted(record, Local())\n"
        "download.fetch(record, files, Local(), Path(sys.argv[2]), lambda size: None, print)"
    )
    command = [sys.executable, "-c", code, str(record.run_folder), str(tmp_path / "into")]
    fetches = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [one.communicate(timeout=60)[0] for one in fetches]
    assert [one.returncode for one in fetches] == [0] * 4
    assert files(tmp_path / "into")["snapshots/lenet_iter_5.caffemodel"] == LARGE
    assert {words.strip() for words in said if words} <= {
        f"another fetch into {tmp_path}/into is running on this machine: waiting for it to end"
    }


def test_a_fetch_waits_for_another_and_says_so(record: JobRecord, tmp_path: Path) -> None:
    begun, told = threading.Event(), []

    class Slow(Local):
        def read(self, path, start=0, size=None):
            begun.set()
            other.join(0.5)
            assert other.is_alive()
            return super().read(path, start, size)

    def second() -> None:
        begun.wait()
        wanted = fetching.wanted(record, Local())
        fetching.fetch(record, wanted, Local(), tmp_path / "into", lambda size: None, told.append)

    other = threading.Thread(target=second)
    other.start()
    (Path(record.run_folder) / "snapshots" / "lenet_iter_5.caffemodel").write_bytes(b"small")
    fetch(record, Slow(), tmp_path / "into")
    other.join()
    assert told == [f"another fetch into {tmp_path}/into is running on this machine: waiting for it to end"]


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", "..", ".", "a\n", "", ".config", "lenet[2]", "\x1b"])
def test_a_default_folder_is_one_plain_name(record: JobRecord, name: str) -> None:
    with pytest.raises(RequestError, match="is not a plain name for a folder"):
        fetching.default_folder(replace(record, name=name))
    assert fetching.default_folder(record) == Path("lenet")
    point = replace(record, token="t[2]", name="lenet[2]")
    assert fetching.default_folder(point) == Path("lenet[2]")
