import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError
from hpcbrew.transports import process
from hpcbrew.transports.login_shell import MarkedScript, quoted
from hpcbrew.transports.process import CommandOutput

MARKED = MarkedScript("true", mark="--m--")


def output(out: bytes, err: bytes) -> CommandOutput:
    return CommandOutput(bytearray(out), bytearray(err))


def test_scripts_are_quoted_for_csh_too() -> None:
    """It takes no line break in quotes, and reads ! in them; bash sees the script as it was."""
    script = "[ ! -e /gone ] &&\nprintf '%s' \"it's\"; exit 3"
    word = quoted(script)
    assert not {"\n", "!"} & set(word)
    done = subprocess.run(f"bash -c {word}", shell=True, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("it's", 3)


@pytest.mark.parametrize("word", [r"a\\\\b", r"it\\'s", "end\\\\"])
def test_scripts_are_quoted_for_fish_too(word: str) -> None:
    """In quotes, it reads a backslash before a backslash or a quote as bash does not."""
    sent = quoted(f"printf %s {shlex.quote(word)}")
    assert "\\" not in sent
    done = subprocess.run(f"bash -c {sent}", shell=True, capture_output=True, text=True, check=False)
    assert done.stdout == word


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "tcsh", "fish", "zsh", "ksh", "mksh"])
def test_every_login_shell_runs_a_script_as_it_was_written(shell: str, tmp_path: Path) -> None:
    """sshd runs `SHELL -c COMMAND`."""
    if shutil.which(shell) is None:
        pytest.skip(f"runs a real {shell}: apt install {shell}")
    home = {**os.environ, "HOME": str(tmp_path)}
    for word in ("it's a!b\nnext", "\\ \\\\' $HOME `id` %d *?[a] ü\\"):
        marked = MarkedScript(f"printf %s {shlex.quote(word)}; exit 7")
        done = subprocess.run([shell, "-c", marked.command], capture_output=True, check=False, env=home)
        result = marked.result(output(done.stdout, done.stderr), done.returncode, "cluster")
        assert (result.status, result.text.out) == (7, word)


def test_what_a_real_shell_prints_is_read_back() -> None:
    marked = MarkedScript("printf out; printf err >&2; exit 7")
    done = subprocess.run(["sh", "-c", marked.command], capture_output=True, check=False)
    result = marked.result(output(done.stdout, done.stderr), done.returncode, "cluster")
    assert result.text == CommandResult(7, "out", "err")


def test_a_bash_within_the_script_does_not_read_what_is_for_those_that_sshd_begins(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("printf 'Welcome! '\n")
    marked = MarkedScript("cd / && bash -c 'echo out'")
    begun_by_sshd = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "SSH_CLIENT": "192.0.2.1 22 22"}
    done = subprocess.run(["bash", "-c", marked.command], capture_output=True, check=False, env=begun_by_sshd)
    assert marked.result(output(done.stdout, done.stderr), done.returncode, "cluster").text.out == "out\n"


def test_what_the_site_prints_around_the_marks_is_dropped() -> None:
    said = output(b"Welcome!\n12 --m--\nout--m--Goodbye", b"quota: fine\n--m--\nerr--m-- 3\nlogged out")
    assert MARKED.result(said, 0, "cluster").text == CommandResult(3, "out", "err")


@pytest.mark.parametrize(
    ("out", "err", "status"),
    [
        (b"", b"", process.CUT),
        (b"12 --m--\nhalf", b"--m--\n", process.CUT),
        (b"12 --m--\nwhole--m--", b"--m--\nhalf", 0),
    ],
    ids=["before it began", "in its output", "before its exit status"],
)
def test_an_answer_that_is_not_whole_is_a_cut(out: bytes, err: bytes, status: int) -> None:
    with pytest.raises(TransportError, match="cluster: the connection was cut") as raised:
        MARKED.result(output(out, err), status, "cluster")
    assert raised.value.retryable


def test_a_host_without_bash_is_told_in_its_own_words() -> None:
    with pytest.raises(TransportError, match="no bash answered there: exec: bash: not found") as raised:
        MARKED.result(output(b"", b"exec: bash: not found\n"), 127, "cluster")
    assert not raised.value.retryable


def test_only_what_has_begun_is_ended() -> None:
    assert MARKED.ending(output(b"Welcome!\n", b"")) is None
    ending = MARKED.ending(output(b"Welcome!\n1234 --m--\n", b""))
    assert ending is not None
    assert "-p 1234" in ending


@pytest.mark.parametrize(
    ("own", "characters"), [("LC_ALL=de_DE.UTF-8 LANG=C", "de_DE.UTF-8"), ("LANG=fr_FR.UTF-8", "fr_FR.UTF-8")]
)
def test_commands_speak_english_whatever_the_users_language_and_characters_stay(own: str, characters: str) -> None:
    marked = MarkedScript('echo "$LC_MESSAGES,$LC_CTYPE,$LC_ALL,$LANGUAGE"')
    command = f"env -u LC_CTYPE LANGUAGE=de LC_MESSAGES=de_DE {own} bash -c {quoted(marked.command)}"
    done = subprocess.run(command, shell=True, capture_output=True, check=False)
    assert marked.result(output(done.stdout, done.stderr), 0, "cluster").text.out == f"C,{characters},,\n"


@pytest.mark.parametrize("status", [b"", b"x", b" ", b" soon", b" 99999999999999999999", b" -1", b"\xff", b" \xd9\xa3"])
def test_an_exit_status_that_is_none_is_told(status: bytes) -> None:
    said = output(b"12 --m--\nout--m--", b"--m--\n--m--" + status)
    with pytest.raises(TransportError, match="ends without an exit status"):
        MARKED.result(said, 0, "cluster")


def test_a_shell_of_an_odd_number_is_none_to_be_ended() -> None:
    assert MARKED.ending(output(b"9" * 5000 + b" --m--\n", b"")) is None
