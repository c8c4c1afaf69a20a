import threading
import time
from pathlib import Path, PurePosixPath

import pytest
import sshd

from hpcbrew.errors import TransportError
from hpcbrew.transports.ssh import Ssh
from hpcbrew.transports.ssh_login import Unattended


@pytest.fixture
def cluster(server):
    transport = Ssh("cluster", Unattended(), server.resolve)
    yield transport
    transport.close()


def test_a_command_runs_in_its_folder(cluster, tmp_path):
    answer = cluster.run(["sh", "-c", "pwd; echo oops >&2; exit 3"], PurePosixPath(tmp_path))
    assert (answer.status, answer.out, answer.err) == (3, f"{tmp_path}\n", "oops\n")


def test_arguments_reach_the_command_as_they_are(cluster, tmp_path):
    words = ["a b", "$HOME", "'", '"', "*", "123[4].server", "é", "a\nb", ""]
    answer = cluster.run(["printf", "%s|", *words], PurePosixPath(tmp_path))
    assert answer.out == "".join(f"{w}|" for w in words)


def test_what_the_site_prints_at_login_is_dropped(tmp_path):
    noise = 'ForceCommand echo "Welcome!"; echo "quota exceeded" >&2; eval "$SSH_ORIGINAL_COMMAND"'
    with sshd.serve(tmp_path, noise) as server:
        transport = Ssh("cluster", Unattended(), server.resolve)
        answer = transport.run(["sh", "-c", "echo 12.pbs; echo mine >&2"], PurePosixPath("/"))
        transport.close()
    assert (answer.out, answer.err) == ("12.pbs\n", "mine\n")


def test_a_jump_host_is_passed_through(server):
    transport = Ssh("jumped", Unattended(), server.resolve)
    assert transport.run(["echo", "there"], PurePosixPath("/")).out == "there\n"
    transport.close()


def test_root_expands_the_home_folder_and_variables_there_and_nothing_else(cluster):
    home = PurePosixPath(Path.home())
    assert cluster.root("~/scratch") == home / "scratch"
    assert cluster.root("$HOME/a b/$(id)") == home / "a b/$(id)"
    with pytest.raises(TransportError, match=r"NOT_SET_THERE.*is not set there"):
        cluster.root("/scratch/$NOT_SET_THERE")


def test_a_folder_is_made_whole_or_not_at_all(cluster, tmp_path):
    folder = PurePosixPath(tmp_path) / "runs" / "lenet 1"
    files = {PurePosixPath("job.pbs"): b"#!/bin/bash\n", PurePosixPath("sub/data.bin"): bytes(range(256))}
    cluster.make_folder(folder, files)
    assert {p: (Path(folder) / p).read_bytes() for p in files} == files
    with pytest.raises(TransportError, match="it is there already"):
        cluster.make_folder(folder, {PurePosixPath("job.pbs"): b"another"})
    assert [p.name for p in tmp_path.glob("runs/*")] == ["lenet 1"]
    assert (Path(folder) / "job.pbs").read_bytes() == b"#!/bin/bash\n"
    cluster.remove_folder(folder)
    assert list(tmp_path.glob("runs/*")) == []


def test_files_are_read_from_where_they_were_left(cluster, tmp_path):
    log = tmp_path / "train.log"
    log.write_bytes(b"one\ntwo\xff\n")
    assert cluster.read(PurePosixPath(log)) == b"one\ntwo\xff\n"
    assert cluster.read(PurePosixPath(log), start=4) == b"two\xff\n"
    assert cluster.read(PurePosixPath(log), start=9) == b""
    assert cluster.read(PurePosixPath(tmp_path / "absent")) is None


def test_many_small_files_come_in_one_answer(cluster, tmp_path):
    (tmp_path / "a").write_bytes(b"A")
    (tmp_path / "c d").write_bytes(b"")
    paths = [PurePosixPath(tmp_path) / name for name in ("a", "b", "c d")]
    assert cluster.read_all(paths) == [b"A", None, b""]
    assert cluster.read_all([PurePosixPath(tmp_path) / "none"]) == [None]
    assert cluster.read_all([]) == []


def test_names_in_a_folder(cluster, tmp_path):
    for name in ("b", "a\nline", ".hidden"):
        (tmp_path / name).touch()
    assert cluster.names(PurePosixPath(tmp_path)) == [".hidden", "a\nline", "b"]
    assert cluster.names(PurePosixPath(tmp_path / "absent")) == []


def test_a_cut_while_a_command_runs_is_told_and_the_next_command_connects_again(cluster, server):
    cluster.run(["true"], PurePosixPath("/"))
    threading.Timer(0.5, server.cut).start()
    started = time.monotonic()
    with pytest.raises(TransportError, match="cut") as raised:
        cluster.run(["sleep", "30"], PurePosixPath("/"))
    assert raised.value.retryable
    assert time.monotonic() - started < 20
    assert cluster.run(["echo", "again"], PurePosixPath("/")).out == "again\n"


def test_reading_survives_a_cut(cluster, server, tmp_path):
    (tmp_path / "log").write_bytes(b"x")
    cluster.run(["true"], PurePosixPath("/"))
    server.cut()
    assert cluster.read(PurePosixPath(tmp_path / "log")) == b"x"
