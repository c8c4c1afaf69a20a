import os
import threading

import pytest

from engine.host import regular_file


def test_a_file_is_read_whole(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 200_000)
    assert regular_file.read(tmp_path / "f") == b"x" * 200_000


@pytest.mark.parametrize("name", ["pipe", "folder", "/dev/zero", "a\0b", "x" * 300, "sparse"])
def test_what_is_no_file_of_that_size_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match=r"pipe|folder|device|zero byte|too long|1,099,511,627,776 bytes, but at most"):
        regular_file.read(tmp_path / name)


def test_a_file_that_says_to_be_empty_and_is_not_has_an_end_too():
    assert regular_file.read("/proc/self/status").startswith(b"Name:")
    with pytest.raises(OSError, match="at most 10 are read"):
        regular_file.read("/proc/self/status", 10)


def test_a_pipe_is_read_where_pipes_are_allowed(tmp_path):
    end, start = os.pipe()
    threading.Timer(0.1, lambda: (os.write(start, b"late"), os.close(start))).start()
    assert regular_file.read(f"/dev/fd/{end}", pipes=True) == b"late"
    os.close(end)


def test_what_no_file_can_be_called_is_told():
    with pytest.raises(OSError, match=r"no file can have that name: .*surrogates not allowed"):
        regular_file.read("\ud800")


@pytest.mark.parametrize("name", ["n" * 300, "zero\0byte", "file/x"])
def test_what_no_file_can_be_called_is_not_there(tmp_path, name):
    (tmp_path / "file").touch()
    assert not any(ask(tmp_path / name) for ask in (regular_file.is_file, regular_file.is_folder, regular_file.exists))


def test_files_and_folders_are_there(tmp_path):
    (tmp_path / "file").touch()
    file, folder = tmp_path / "file", tmp_path
    assert regular_file.is_file(file)
    assert not regular_file.is_folder(file)
    assert regular_file.is_folder(folder)
    assert not regular_file.is_file(folder)
    assert regular_file.exists(file)
    assert regular_file.exists(folder)
