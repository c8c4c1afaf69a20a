from pathlib import Path, PurePosixPath

import pytest
from support import sshd

from hpcbrew.errors import TransportError, Unanswered
from hpcbrew.transports.local import Local


def test_what_says_nothing_is_given_up_and_ended_with_all_that_it_started(tmp_path: Path) -> None:
    script = "sleep 300 & echo $! >pid; wait"
    with pytest.raises(Unanswered, match=r"this machine: `sh -c .*` gave no answer within 1 s"):
        Local().run(["sh", "-c", script], PurePosixPath(tmp_path), idle_timeout=1)
    assert sshd.ended((tmp_path / "pid").read_text())


def test_a_word_now_and_then_is_enough() -> None:
    words = "for word in one two three four; do sleep 0.4; echo $word >&2; done"
    assert len(Local().run(["sh", "-c", words], PurePosixPath("/"), idle_timeout=1.5).err.split()) == 4


def test_a_script_is_its_owners_alone_to_read(tmp_path: Path) -> None:
    folder = PurePosixPath(tmp_path, "run")
    Local().make_folder(folder, {PurePosixPath(name): b"x" for name in ("job.pbs", "points/1/job.json")})
    assert [(Path(folder) / n).stat().st_mode & 0o777 for n in ("job.pbs", "points/1/job.json")] == [0o600, 0o644]


def test_a_command_has_nothing_to_read() -> None:
    assert Local().run(["cat"], PurePosixPath("/")).out == ""


def test_a_command_that_is_not_there_ends_as_a_shell_says_it() -> None:
    answer = Local().run(["no-such-command"], PurePosixPath("/"))
    assert (answer.status, answer.words) == (127, "no-such-command: command not found")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match=f"ls: No such file or directory .{tmp_path}/gone"):
        Local().run(["ls"], PurePosixPath(tmp_path, "gone"))


@pytest.mark.parametrize(
    ("own", "characters"),
    [
        ({"LC_ALL": "de_DE.UTF-8", "LANG": "C"}, "de_DE.UTF-8"),
        ({"LANG": "fr_FR.UTF-8", "LC_MESSAGES": "fr_FR.UTF-8", "LANGUAGE": "fr:de"}, "fr_FR.UTF-8"),
        ({}, ""),
    ],
)
def test_commands_speak_english_and_characters_stay(own, characters, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LC_MESSAGES", "LANG", "LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    said = Local().run(["sh", "-c", 'echo "$LC_MESSAGES,$LC_CTYPE,$LC_ALL,$LANGUAGE"'], PurePosixPath("/")).out
    assert said == f"C,{characters},,\n"


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpcbrew.transports.process.CommandOutput.full", property(lambda said: len(said.out) > 2**20))
    with pytest.raises(TransportError, match="`yes` printed more than 128 MiB"):
        Local().run(["yes"], PurePosixPath("/"))


def test_one_that_says_a_byte_now_and_then_comes_to_an_end() -> None:
    with pytest.raises(Unanswered, match="no answer within 4 s"):
        Local().run(["sh", "-c", "while sleep 0.1; do printf .; done"], PurePosixPath("/"), idle_timeout=0.8)
