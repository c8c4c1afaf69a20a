"""How a tool ends."""

import pytest

from engine import log
from engine.errors import DataError
from engine.tools.command import run


def raises(error):
    def work():
        raise error

    return work


def test_work_that_is_done_gives_0_with_its_log_on_stderr(capsys):
    assert run("tool", lambda: log.info("tool", "Processed 3 files.")) == 0
    assert capsys.readouterr().err.endswith("Processed 3 files.\n")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (DataError("x.lmdb: is there already."), 2, "tool: error: x.lmdb: is there already.\n"),
        (KeyboardInterrupt(), 130, "tool: interrupted; nothing half made is left.\n"),
    ],
)
def test_what_the_user_can_put_right_and_ctrl_c_are_one_line(error, status, said, capsys):
    assert run("tool", raises(error)) == status
    assert capsys.readouterr().err == said


def test_a_fault_of_the_program_is_shown_whole():
    with pytest.raises(ZeroDivisionError):
        run("tool", raises(ZeroDivisionError()))
