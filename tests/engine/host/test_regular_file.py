import os
import subprocess
import threading

import pytest

from engine.host import memory, regular_file


def test_a_file_is_read_whole(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 200_000)
    assert regular_file.read(tmp_path / "f") == b"x" * 200_000


@pytest.mark.parametrize("name", ["pipe", "folder", "/dev/zero", "a\0b", "x" * 300, "sparse"])
def test_what_is_no_file_of_that_size_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match=r"pipe|folder|device|zero byte|too long|1,099,511,627,776 bytes, and at most"):
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


def test_the_least_of_the_limits_counts(tmp_path):
    code = "from engine.host import memory; print(memory.limit(), memory.lacking(1 << 40))"
    done = subprocess.run(
        ["bash", "-c", f"ulimit -v 2000000; python -c '{code}'"], check=True, capture_output=True, text=True
    )
    assert done.stdout == "2048000000 takes 1.1 TB of memory, and there are 2.0 GB here\n"


def test_amounts():
    assert [memory.amount(n) for n in (0, 999, 1500, 25_300_000_000, 10**24)] == [
        "0 bytes", "999 bytes", "1.5 kB", "25.3 GB", "1,000,000.0 EB",
    ]  # fmt: skip
