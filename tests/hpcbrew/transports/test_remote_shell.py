"""The contract of a transport over SSH, with both clients and a real server."""

import os
import pwd
import signal
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest
from support import sshd
from support.until import until

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError, Unanswered
from hpcbrew.transports import base, process, remote_shell, retry
from hpcbrew.transports.openssh import OpenSsh
from hpcbrew.transports.paramiko_ssh import Ssh
from hpcbrew.transports.prompt import Unattended


def by_paramiko(server, destination="cluster"):
    return Ssh(destination, Unattended(), server.resolve)


def by_openssh(server, destination="cluster"):
    return OpenSsh(destination, attended=False, config=server.config)


@pytest.fixture(params=[by_paramiko, by_openssh], ids=["ssh", "openssh"])
def connect(request, monkeypatch):
    """A function that gives a transport of one kind to a server; ended with the test."""
    made = []
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield lambda *where: made.append(request.param(*where)) or made[-1]
        for transport in made:
            transport.disconnect()


@pytest.fixture
def cluster(server, connect):
    return connect(server)


def test_a_command_runs_in_its_folder(cluster, tmp_path):
    answer = cluster.run(["sh", "-c", "pwd; echo oops >&2; exit 3"], PurePosixPath(tmp_path))
    assert (answer.status, answer.out, answer.err) == (3, f"{tmp_path}\n", "oops\n")


def test_arguments_reach_the_command_as_they_are(cluster, tmp_path):
    words = ["a b", "$HOME", "'", '"', "*", "123[4].server", "é", "a\nb", ""]
    answer = cluster.run(["printf", "%s|", *words], PurePosixPath(tmp_path))
    assert answer.out == "".join(f"{w}|" for w in words)


def test_what_the_site_prints_at_login_is_dropped(tmp_path, connect):
    noise = 'ForceCommand echo "Welcome!"; echo "quota exceeded" >&2; eval "$SSH_ORIGINAL_COMMAND"'
    with sshd.serve(tmp_path, noise) as server:
        answer = connect(server).run(["sh", "-c", "echo 12.pbs; echo mine >&2"], PurePosixPath("/"))
    assert (answer.out, answer.err) == ("12.pbs\n", "mine\n")


def test_a_jump_host_is_passed_through(server, connect):
    assert connect(server, "jumped").run(["echo", "there"], PurePosixPath("/")).out == "there\n"


def test_root_expands_the_home_folder_and_variables_there_and_nothing_else(cluster):
    home = PurePosixPath(pwd.getpwuid(os.getuid()).pw_dir)  # what sshd takes, whatever HOME says
    assert cluster.root("~/scratch") == home / "scratch"
    assert cluster.root("$HOME/a b/$(id)") == home / "a b/$(id)"
    with pytest.raises(TransportError, match=r"NOT_SET_THERE.*is not set there"):
        cluster.root("/scratch/$NOT_SET_THERE")


def test_a_folder_is_made_whole_or_not_at_all(cluster, tmp_path):
    folder = PurePosixPath(tmp_path) / "runs" / "lenet 1"
    files = {PurePosixPath("job.pbs"): b"#!/bin/bash\n", PurePosixPath("sub/data.bin"): bytes(range(256))}
    cluster.make_folder(folder, files)
    assert {p: (Path(folder) / p).read_bytes() for p in files} == files
    assert (Path(folder) / "job.pbs").stat().st_mtime > time.time() - 600  # sites clear old files away from scratch
    assert [(Path(folder) / p).stat().st_mode & 0o777 for p in files] == [0o600, 0o644]  # the script may hold secrets
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


def test_names_of_any_bytes_are_read_and_written(cluster, tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9")).write_bytes(b"found")
    (found,) = cluster.sizes(PurePosixPath(tmp_path))
    assert cluster.read(PurePosixPath(tmp_path) / found) == b"found"
    assert cluster.read_all([PurePosixPath(tmp_path) / found]) == [b"found"]


def test_what_is_no_small_file_is_told_of_and_hides_no_other(cluster, tmp_path):
    (tmp_path / "exit.json").write_bytes(b"{}")
    with (tmp_path / "progress.json").open("wb") as file:
        file.truncate(10 * 2**30)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("link")
    paths = [PurePosixPath(tmp_path) / name for name in ("progress.json", "fifo", "link", "exit.json")]
    assert cluster.read_all(paths) == [base.too_large(10 * 2**30), base.NO_FILE, base.NO_FILE, b"{}"]


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


def test_parts_of_a_file_are_written_side_by_side_and_may_be_written_again(cluster, tmp_path):
    source, target = tmp_path / "source", PurePosixPath(tmp_path) / "new folder" / "target"
    source.write_bytes(bytes(range(256)) * 20_000)
    half, told = source.stat().st_size // 2, []
    with ThreadPoolExecutor() as streams:
        for start in (half, 0, half):
            streams.submit(cluster.write, source, target, start, half, told.append).result()
    assert Path(target).read_bytes() == source.read_bytes()
    assert sum(told) == 3 * half


def test_a_part_that_a_cut_broke_off_is_sent_again(cluster, server, tmp_path):
    source, target = tmp_path / "source", PurePosixPath(tmp_path) / "target"
    source.write_bytes(bytes(range(256)) * 20_000)
    cuts, told = [server.cut], []

    def progress(count):
        told.append(count)
        if cuts and sum(told) > 1_000_000:
            cuts.pop()()

    cluster.write(source, target, 0, source.stat().st_size, progress)
    assert Path(target).read_bytes() == source.read_bytes()
    assert not cuts
    assert sum(told) == source.stat().st_size


def test_a_refused_login_is_not_tried_again(tmp_path, connect):
    with sshd.serve(tmp_path) as server:
        (tmp_path / "authorized_keys").write_text("")
        with pytest.raises(TransportError) as raised:
            connect(server).run(["true"], PurePosixPath("/"))
    assert not raised.value.retryable


def test_a_server_that_is_not_there_is_tried_with_longer_and_longer_pauses(connect, tmp_path, monkeypatch):
    pauses, said = [], []
    with sshd.serve(tmp_path) as server:
        pass
    monkeypatch.setattr(retry, "time", SimpleNamespace(sleep=pauses.append))
    transport = connect(server)
    transport.say = said.append
    with pytest.raises(TransportError, match="no connection") as raised:
        transport.run(["true"], PurePosixPath("/"))
    assert raised.value.retryable
    assert pauses == list(retry.PAUSES)
    assert len(said) == len(pauses) - 1  # the first further attempt is made at once
    assert all("no connection" in words and words.endswith("; trying again") for words in said)


def test_what_the_user_s_configuration_has_for_logins_by_hand_is_left_aside(tmp_path, connect):
    with sshd.serve(tmp_path) as server:
        server.config.write_text(
            f"RemoteCommand tmux attach\nLocalForward {server.port} x:1\n" + server.config.read_text()
        )
        assert connect(server).run(["echo", "there"], PurePosixPath("/")) == CommandResult(0, "there\n", "")


SLEEPS = "echo $$ >>pids; sleep 300"


def test_what_says_nothing_is_given_up_ended_and_not_run_again(cluster, tmp_path):
    cluster.run(["true"], PurePosixPath("/"))  # its first answer may take long on a busy machine
    with pytest.raises(
        Unanswered, match=r"cluster: `sh -c .*sleep 300'` gave no answer within 2 s: .*by hand"
    ) as raised:
        cluster.run(["sh", "-c", SLEEPS], PurePosixPath(tmp_path), idempotent=True, idle_timeout=2)
    assert raised.value.retryable
    (number,) = (tmp_path / "pids").read_text().split()
    assert sshd.ended(number)
    assert cluster.run(["echo", "the line stands"], PurePosixPath("/")).out == "the line stands\n"


def test_a_word_now_and_then_is_enough(cluster):
    words = "for word in one two three four five; do sleep 0.3; echo $word; done"
    assert len(cluster.run(["sh", "-c", words], PurePosixPath("/"), idle_timeout=1.2).out.split()) == 5


def test_a_file_that_goes_slowly_is_not_given_up(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(remote_shell, "SENDING", 1.2)
    monkeypatch.setattr(remote_shell, "PIECE", 1000)
    source = tmp_path / "source"
    source.write_bytes(b"x" * 5000)
    cluster.write(source, PurePosixPath(tmp_path) / "target", 0, 5000, lambda size: time.sleep(0.3))
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


def test_a_file_that_cannot_be_read_to_its_end_is_named(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "IDLE_TIMEOUT", 1)
    os.mkfifo(tmp_path / "log")
    with pytest.raises(Unanswered, match=f"reading {tmp_path}/log gave no answer within 1 s"):
        cluster.read(PurePosixPath(tmp_path) / "log")


def test_ctrl_c_ends_what_runs_there(cluster, tmp_path):
    cluster.run(["true"], PurePosixPath("/"))

    def interrupt():
        until((tmp_path / "pids").exists)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        cluster.run(["sh", "-c", SLEEPS], PurePosixPath(tmp_path))
    assert sshd.ended((tmp_path / "pids").read_text())
