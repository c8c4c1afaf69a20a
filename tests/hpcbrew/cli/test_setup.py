"""The whole way to a cluster behind a real SSH server, by the commands that a user types."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pip
import pytest
from support import sshd, standin
from support.until import until
from support.wheels import stub

from hpcbrew.cli import cluster as cluster_command
from hpcbrew.cli import setup as setup_command
from hpcbrew.errors import TransportError
from hpcbrew.setup import install_engine
from hpcbrew.setup import wheel as wheels

# A Python whose virtual environments find pip instead of installing it: that takes ten times as long as all the rest.
PYTHON = """
if [ "$2" != venv ]; then /usr/bin/python3 "$@" | sed "s#/usr/bin/python[0-9.]*#$0#"; exit; fi
/usr/bin/python3 -m venv --without-pip "$3"
for site in "$3"/lib/python*/site-packages; do echo {pip} >"$site/pip.pth"; done"""
ENGINE = """
import os
def main(): os.execv({python!r}, [{python!r}, "-P", "-m", "engine.cli", *__import__("sys").argv[1:]])
"""


@dataclass(frozen=True)
class Site:
    home: Path
    server: Any
    pbs: Any

    def script(self, name: str, text: str) -> None:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Site]:
    (tmp_path / "sshd").mkdir()
    there = tmp_path / "there"
    with (
        sshd.serve(tmp_path / "sshd", f"SetEnv HOME={there}") as server,
        standin.installed(there / "bin", tmp_path / "pbs") as pbs,
    ):
        made = Site(there, server, pbs)
        (tmp_path / "pip").mkdir()
        (tmp_path / "pip" / "pip").symlink_to(Path(pip.__file__).parent)
        made.script("bin/python3.14", PYTHON.format(pip=tmp_path / "pip"))
        stub(tmp_path, "click", {"click.py": ""})
        (there / ".bash_profile").write_text(
            f"export PATH={there}/bin:/usr/bin:/bin PIP_CONFIG_FILE=/dev/null "
            f"PIP_NO_INDEX=1 PIP_FIND_LINKS={tmp_path}\necho Welcome to the cluster\n"
        )
        code = {"stub_engine.py": ENGINE.format(python=sys.executable)}
        extra = "Provides-Extra: engine\n"
        monkeypatch.setattr(wheels, "make", lambda at: stub(at, "hpcbrew", code, extra, "caffe = stub_engine:main"))
        server.put_client(tmp_path / "bin")
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        yield made


def call(command: click.Command, *arguments: str) -> int:
    """The exit status of a command in this process, where the wheel is a small one."""
    try:
        command.main([*arguments], standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_added_set_up_checked_and_ready(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.pbs.run("qsub", "-l", "select=1:ngpus=1", "--", "/bin/sleep", "600")
    add = ["--host", "cluster", "--scratch", "~/scratch", "--queue", "gpu", "--yes"]
    call(cluster_command.command, "add", "mine", *add)
    assert call(cluster_command.command, "check", "mine", "--json") == 1
    found = {f["what"]: f for f in json.loads("[" + capsys.readouterr().out.partition("\n[")[2])}
    assert found["scheduler"]["found"] == "OpenPBS 23.06.06"
    assert found["PATH"]["found"] == "PBS is found only by login shells, which hpcbrew uses"
    assert found["queue gpu"]["found"] == "up to 168:00:00, 2 GPUs per job"
    assert (found["engine"]["mark"], found["engine"]["remedy"]) == ("✗", "hpcbrew setup mine")

    assert call(setup_command.command, "mine", "--cpu", "--yes") == 0
    said = capsys.readouterr().out
    assert "login: cluster lets you in without a password already" in said
    assert "Done" in said
    assert said.splitlines()[-1] == "mine is ready: hpcbrew submit SOLVER --cluster mine"
    (run,) = (site.home / "scratch" / "runs").iterdir()
    assert (run / "snapshots" / "setup_iter_50.caffemodel").exists()

    assert call(cluster_command.command, "check", "mine") == 0
    checked = capsys.readouterr().out
    assert "✗" not in checked
    assert "1 of 2 free" in checked


def test_the_engine_for_gpus_is_not_had_without_any(hpcbrew, home: Path) -> None:
    both = hpcbrew("setup", "openpbs", "--cpu", "--gpu")
    assert (both.returncode, "give one of them" in both.stderr) == (2, True)
    add = ["--host", "nowhere", "--scratch", "~/scratch", "--yes"]
    hpcbrew("cluster", "add", "mine", *add)
    profile = home / "config" / "hpcbrew" / "clusters" / "mine.yaml"
    profile.write_text(profile.read_text() + "gpus_per_node: 0\n")
    none = hpcbrew("setup", "mine", "--gpu")
    assert (none.returncode, "gpus_per_node: 0" in none.stderr) == (2, True)


def test_a_host_that_is_not_known_needs_its_fingerprint(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    call(cluster_command.command, "add", "mine", "--host", "cluster", "--scratch", "~/scratch", "--yes")
    site.server.known_hosts.write_text("")
    shown = ["ssh-keygen", "-lf", site.server.folder / "host_key.pub"]
    fingerprint = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.split()[1]
    again = re.escape(f"hpcbrew setup mine --yes --fingerprint {fingerprint}")
    with pytest.raises(TransportError, match=rf"login: .* host key is not known here: ssh-ed25519 SHA256.* {again}"):
        call(setup_command.command, "mine", "--yes", "--no-job")
    call(setup_command.command, "mine", "--yes", "--no-job", "--cpu", "--fingerprint", fingerprint)
    assert (site.home / "scratch" / "engine" / "bin" / "caffe").exists()


# Before pip installs anything: it waits, as one does that has to fetch gigabytes.
STALL = """
case "$*" in
*"pip install"*)
    [ ! -e ~/stall ] || { echo $$ >~/part; mv ~/part ~/stalled; }
    while [ -e ~/stall ]; do sleep 0.05; done ;;
esac
mkdir -p"""


@pytest.fixture
def stalled(site: Site, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the number of the process that installs, and waits; it waits for as long as `stall` is there."""
    call(cluster_command.command, "add", "mine", "--host", "cluster", "--scratch", "~/scratch", "--yes")
    monkeypatch.setattr(install_engine, "RUN", install_engine.RUN.replace("mkdir -p", STALL))
    (site.home / "stall").touch()
    return site.home / "stalled"


def once_stalled(stalled: Path, do: Callable[[], object]) -> threading.Thread:
    """Does something once the installation waits."""

    def work() -> None:
        until(stalled.exists)
        do()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


SETUP = ("mine", "--yes", "--no-job", "--cpu")


def test_ctrl_c_in_the_middle_ends_what_was_begun_and_the_next_one_finishes(site: Site, stalled: Path) -> None:
    interrupt = once_stalled(stalled, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT))
    with pytest.raises(click.Abort):
        call(setup_command.command, *SETUP)
    interrupt.join()
    assert sshd.ended(stalled.read_text())
    assert list((site.home / "scratch" / "engines").iterdir()) == []
    (site.home / "stall").unlink()
    call(setup_command.command, *SETUP)
    assert (site.home / "scratch" / "engine" / "bin" / "caffe").exists()


def test_a_cut_in_the_middle_is_told_and_the_next_one_finishes(site: Site, stalled: Path) -> None:
    cut = once_stalled(stalled, site.server.cut)
    with pytest.raises(TransportError, match=r"engine: .*connection was cut"):
        call(setup_command.command, *SETUP)
    cut.join()
    assert sshd.ended(stalled.read_text())
    (site.home / "stall").unlink()
    call(setup_command.command, *SETUP)
    assert (site.home / "scratch" / "engine" / "bin" / "caffe").exists()
    assert len(list((site.home / "scratch" / "engines").iterdir())) == 1


def test_of_two_at_once_the_second_waits_and_finds_it_done(
    site: Site, stalled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = threading.Thread(target=call, args=(setup_command.command, *SETUP))
    first.start()
    begun = once_stalled(stalled, lambda: None)
    begun.join()
    assert stalled.exists()
    second = threading.Thread(target=call, args=(setup_command.command, *SETUP))
    second.start()
    said: list[str] = []
    try:
        until(lambda: said.append(capsys.readouterr().out) or "another setup of mine is running" in "".join(said))
    finally:
        (site.home / "stall").unlink()
    first.join()
    second.join()
    assert len(list((site.home / "scratch" / "engines").iterdir())) == 1


def test_a_password_that_nobody_may_be_asked_for_ends_it_at_once(site: Site) -> None:
    call(cluster_command.command, "add", "mine", "--host", "cluster", "--scratch", "~/scratch", "--yes")
    (site.server.folder / "authorized_keys").write_text("")
    with pytest.raises(
        TransportError, match=r"login: .* was refused: it accepts .*without --yes, run hpcbrew setup mine\."
    ):
        call(setup_command.command, "mine", "--yes")


def test_a_cluster_out_of_reach_is_one_finding(hpcbrew, site: Site) -> None:
    hpcbrew("cluster", "add", "mine", "--host", "cluster", "--scratch", "~/scratch", "--yes")
    site.server.known_hosts.write_text("")
    done = hpcbrew("cluster", "check", "mine", "--json")
    (finding,) = json.loads(done.stdout)
    assert (done.returncode, finding["what"], finding["mark"]) == (1, "connection", "✗")
    assert "hpcbrew setup mine" in finding["remedy"]
