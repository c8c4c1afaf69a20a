import os
from pathlib import Path, PurePosixPath

import pytest

from hpcbrew.errors import TransportError
from hpcbrew.transports import base
from hpcbrew.transports.local import Local
from hpcbrew.transports.local_reader import LocalReader


def test_of_many_small_files_none_is_read_that_has_no_end(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"{}")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(10**10)
    os.mkfifo(tmp_path / "fifo")
    names = ("small", "huge", "fifo", "none", "")
    found = Local().read_all([PurePosixPath(tmp_path / name) for name in names])
    assert found == [b"{}", base.too_large(10**10), base.NO_FILE, None, base.NO_FILE]


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


def test_what_no_file_can_be_called_is_told() -> None:
    with pytest.raises(TransportError, match="no file can have that name"):
        LocalReader().read(PurePosixPath("/\ud800"), 0, 1)
