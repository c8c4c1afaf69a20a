"""How a tool begins and ends."""

import os
import signal
import time

import click
import pytest

from engine import log
from engine.errors import DataError
from engine.tools import command


def made(work):
    @command.tool("tool")
    @click.option("--gray/--nogray", default=False)
    @click.argument("name")
    def tool(gray, name):
        """Does something."""
        work(gray, name)

    return tool


def raises(error):
    def work(gray, name):
        raise error

    return made(work)


def says(gray, name):
    log.info("tool", f"{name} {gray}")


@pytest.mark.parametrize(
    ("line", "said"),
    [("x", "x False"), ("-gray x", "x True"), ("x --gray=false", "x False"), ("-nogray -logtostderr=1 x", "x False")],
)
def test_flags_are_gflags_and_the_log_is_on_stderr(line, said, capsys):
    assert command.run(made(says), line.split()) == 0
    assert capsys.readouterr().err.endswith(f"] {said}\n")


@pytest.mark.parametrize("argv", [[], ["-gray"]])
def test_missing_arguments_show_the_usage(argv, capsys):
    assert command.run(made(says), argv) == 1
    said = capsys.readouterr().err
    assert "Usage: tool [FLAGS] NAME" in said
    assert "Does something." in said


def test_help(capsys):
    assert command.run(made(says), ["-help"]) == 0
    assert "--gray" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["-grey", "x"], 'tool: error: unknown flag "-grey"; did you mean -gray?'),
        (["x", "y"], "tool: error: Got unexpected extra argument (y)"),
        (["-minloglevel", "low", "x"], "tool: error: -minloglevel takes a whole number"),
    ],
)
def test_wrong_arguments_are_one_line(argv, said, capsys):
    assert command.run(made(says), argv) == 2
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (DataError("x.lmdb: is there already."), 2, "tool: error: x.lmdb: is there already.\n"),
        (MemoryError(), 2, "tool: error: this machine has too little memory.\n"),
        (KeyboardInterrupt(), 130, "tool: interrupted.\n"),
    ],
)
def test_what_the_user_can_put_right_and_ctrl_c_are_one_line(error, status, said, capsys):
    assert command.run(raises(error), ["x"]) == status
    assert capsys.readouterr().err.lstrip("\n") == said


def test_a_fault_of_the_program_is_shown_whole():
    with pytest.raises(ZeroDivisionError):
        command.run(raises(ZeroDivisionError()), ["x"])


def test_flag_files_are_read(tmp_path, capsys):
    (tmp_path / "flags").write_text("-gray\n")
    assert command.run(made(says), [f"-flagfile={tmp_path / 'flags'}", "x"]) == 0
    assert capsys.readouterr().err.endswith("] x True\n")
    assert command.run(made(says), ["-flagfile=gone", "x"]) == 2
    assert "-flagfile gone: cannot be read" in capsys.readouterr().err


def test_sigterm_ends_a_tool_as_ctrl_c_does(capsys):
    tidied = []

    def work(gray, name):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        finally:
            tidied.append(name)

    assert command.run(made(work), ["x"]) == 143
    assert (tidied, capsys.readouterr().err) == (["x"], "tool: terminated.\n")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
