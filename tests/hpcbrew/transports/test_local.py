import os
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


def test_of_many_small_files_none_is_read_that_has_no_end(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"{}")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(10**10)
    os.mkfifo(tmp_path / "fifo")
    names = ("small", "huge", "fifo", "none", "")
    small, huge, *others = Local().read_all([PurePosixPath(tmp_path / name) for name in names])
    assert (small, others) == (b"{}", [None, None, None])
    assert huge is not None
    assert len(huge) == 2**20 + 1  # more than any record has


def test_a_part_of_a_file_is_read_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"12345")
    path = PurePosixPath(tmp_path / "log")
    assert [Local().read(path), Local().read(path, 1), Local().read(path, 1, 2)] == [b"12345", b"2345", b"23"]
    assert [Local().read(path, 9, 2), Local().read(path / "below")] == [b"", None]
    first = Local().reader().read(path, 0, 2)
    assert first is not None
    assert (first.data, first.size) == (b"12", 5)
    again = Local().reader().read(path, 0, 2, first.version)
    assert again is not None
    assert again.data == b""
