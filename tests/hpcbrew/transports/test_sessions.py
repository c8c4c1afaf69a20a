"""A server that takes one command at a time, and is asked for several."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

import pytest
from support import sshd

from hpcbrew.transports import sessions
from hpcbrew.transports.openssh import OpenSsh
from hpcbrew.transports.paramiko_ssh import Ssh
from hpcbrew.transports.prompt import Unattended
from hpcbrew.transports.sessions import NoSession, Sessions

TOP = PurePosixPath("/")


@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize("transport", ["ssh", "openssh"])
def test_commands_wait_for_one_another_where_the_server_takes_few(transport, most, tmp_path, short_runtime):
    with sshd.serve(tmp_path, f"MaxSessions {most}", "LogLevel VERBOSE") as server:
        if transport == "ssh":
            line = Ssh("cluster", Unattended(), server.resolve)
        else:
            line = OpenSsh("cluster", attended=False, config=server.config)
        for word in ("one", "after", "another"):
            assert line.run(["echo", word], TOP).out == f"{word}\n"
        with ThreadPoolExecutor(5) as threads:
            answers = threads.map(lambda n: line.run(["sh", "-c", f"sleep 0.2; echo {n}"], TOP).out, range(8))
        assert list(answers) == [f"{n}\n" for n in range(8)]
        source = tmp_path / "source"
        source.write_bytes(bytes(range(256)) * 10_000)
        with ThreadPoolExecutor(4) as threads:
            half = source.stat().st_size // 2
            jobs = [
                threads.submit(line.write, source, TOP / str(tmp_path) / "to", n * half, half, len_of) for n in (0, 1)
            ]
            assert [job.result() for job in jobs] == [None, None]
        assert (tmp_path / "to").read_bytes() == source.read_bytes()
        line.disconnect()
        logins = (tmp_path / "sshd.log").read_text().count("Accepted publickey")
    assert logins == 1


def len_of(count):
    return count


def test_one_that_is_refused_though_none_runs_ends_in_the_refusal(monkeypatch):
    monkeypatch.setattr(sessions, "TIDYING", 0.2)

    def attempt():
        raise NoSession("no further session", retryable=True)

    with pytest.raises(NoSession):
        Sessions().run(attempt)


def test_as_many_run_at_once_as_were_found_to_be_taken():
    taken, running, most = Sessions(), [], []
    lock = threading.Lock()

    def attempt():
        with lock:
            if len(running) == 2:
                raise NoSession("no further session", retryable=True)
            running.append(1)
            most.append(len(running))
        time.sleep(0.05)
        with lock:
            running.pop()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda n: taken.run(attempt), range(20)))
    assert max(most) == 2
    assert len(most) == 20
