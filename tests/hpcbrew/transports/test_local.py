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
    words = "for word in one two three four; do sleep 0.2; echo $word >&2; done"
    assert len(Local().run(["sh", "-c", words], PurePosixPath("/"), idle_timeout=0.6).err.split()) == 4


def test_a_command_has_nothing_to_read() -> None:
    assert Local().run(["cat"], PurePosixPath("/")).out == ""


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(TransportError, match="no-such-command: No such file"):
        Local().run(["no-such-command"], PurePosixPath("/"))
