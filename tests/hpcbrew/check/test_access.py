import time
from pathlib import Path

import pytest

from hpcbrew.check import access
from hpcbrew.check.finding import Checked, Mark
from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.command_result import CommandResult
from hpcbrew.transports.local import Local
from hpcbrew.transports.openssh import OpenSsh

SITE = Cluster.model_validate({**profiles.values("openpbs"), "name": "local", "transport": "local"})


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checked:
    """A site on this machine whose login shells look for commands in the folder `bin` first."""
    (tmp_path / "bin").mkdir()
    (tmp_path / ".bash_profile").write_text(f"export PATH={tmp_path}/bin:/usr/bin:/bin\nprintf 'Welcome '\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return Checked(SITE, Local())


def program(folder: Path, name: str, line: str) -> None:
    (folder / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
    (folder / "bin" / name).chmod(0o755)


def test_a_connection_names_the_user_and_the_machine(checked: Checked) -> None:
    (found,) = access.connection(checked)
    assert found.mark is Mark.OK
    assert " on Linux " in found.found


def test_commands_that_are_not_found_are_named(checked: Checked, tmp_path: Path) -> None:
    program(tmp_path, "qstat", "exit")
    (found,) = access.path(checked)
    assert (found.mark, found.found) == (Mark.BAD, "this shell does not find qsub, qdel")


def test_on_a_login_node_what_login_shells_find_does_not_count(
    checked: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in access.NEEDED:
        program(tmp_path, name, "exit")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    (found,) = access.path(checked)
    assert found.mark is Mark.BAD


def test_a_shell_over_ssh_may_greet_without_a_line_break(
    checked: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("qstat", "qdel"):
        program(tmp_path, name, "exit")

    def plain(command: str) -> CommandResult:
        return checked.transport.run(["sh", "-c", f"printf Welcome; {command}"], access.TOP)

    shell = OpenSsh("host", attended=False)
    monkeypatch.setattr(shell, "run", lambda *_: CommandResult(0, "", ""))
    monkeypatch.setattr(shell, "plain", plain)
    (found,) = access.path(Checked(SITE, shell))
    assert found.found == "PBS is found only by login shells, which hpcbrew uses"


def test_all_of_them_is_what_is_needed(checked: Checked, tmp_path: Path) -> None:
    for name in access.NEEDED:
        program(tmp_path, name, "exit")
    (found,) = access.path(checked)
    assert found.mark is Mark.OK


@pytest.mark.parametrize(
    ("ahead", "mark", "words"),
    [
        (0, Mark.OK, "agrees with this machine's"),
        (3600, Mark.WARN, "s ahead of this"),
        (-3600, Mark.WARN, "s behind this"),
    ],
    ids=["right", "ahead", "behind"],
)
def test_a_clock_that_is_wrong_is_told(checked: Checked, tmp_path: Path, ahead: int, mark: Mark, words: str) -> None:
    program(tmp_path, "date", f"echo Welcome; echo {int(time.time()) + ahead}")
    (found,) = access.clock(checked)
    assert found.mark is mark
    assert words in found.found


def test_a_clock_that_cannot_be_read_is_a_warning(checked: Checked, tmp_path: Path) -> None:
    program(tmp_path, "date", "echo noon")
    (found,) = access.clock(checked)
    assert (found.mark, found.found) == (Mark.WARN, "could not be read")


@pytest.mark.parametrize("said", ["", "²", "9" * 400, "9" * 5000, "now"])
def test_a_clock_that_tells_no_time_is_a_warning(checked: Checked, tmp_path: Path, said: str) -> None:
    program(tmp_path, "date", f"echo '{said}'")
    (found,) = access.clock(checked)
    assert (found.mark, found.found) == (Mark.WARN, "could not be read")
