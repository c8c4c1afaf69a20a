import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.host import atomic_file


def test_a_file_is_replaced_and_nothing_else_left(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"old")
    atomic_file.replace(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "a"
    file.write_bytes(b"old")

    def disk_is_full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_is_full)
    with pytest.raises(OSError, match="No space"):
        atomic_file.replace(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_name_that_is_taken_while_writing_is_no_half_file(tmp_path):
    """Many processes write one name at once: a reader sees one of their contents, whole."""
    file = tmp_path / "a"
    write = "atomic_file.replace(sys.argv[1], sys.argv[2].encode() * 50000)"
    code = f"import sys; from engine.host import atomic_file; [{write} for _ in range(20)]"
    writers = [subprocess.Popen([sys.executable, "-c", code, file, digit]) for digit in "123"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if file.exists():
            seen.add(file.read_bytes())
    seen.add(file.read_bytes())
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert seen <= {digit * 50000 for digit in (b"1", b"2", b"3")}
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_keeps_pointing_to_the_file(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("real")
    atomic_file.replace(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_new_file_has_the_mode_that_the_umask_gives(tmp_path):
    old = os.umask(0o027)
    try:
        atomic_file.replace(tmp_path / "a", b"")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_device_is_written_to():
    atomic_file.replace("/dev/null", b"gone")
    assert Path("/dev/null").is_char_device()


def test_a_folder_is_refused_and_nothing_made_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_file.secrets, "token_hex", lambda _: pytest.fail("a temporary file"))
    with pytest.raises(IsADirectoryError):
        atomic_file.replace(tmp_path, b"")
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        atomic_file.replace(tmp_path / "link", b"")
