import platform
import subprocess
import sys
from pathlib import Path

import pytest

from engine.host import memory


def test_it_is_what_the_kernel_says():
    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    assert memory.physical() == 1024 * kilobytes


def test_the_least_of_the_limits_counts(tmp_path):
    code = "from engine.host import memory; print(memory.limit(), memory.lacking(1 << 40))"
    done = subprocess.run(
        ["bash", "-c", f"ulimit -v 2000000; {sys.executable} -c '{code}'"], check=True, capture_output=True, text=True
    )
    assert done.stdout == "2048000000 takes 1.0 TiB of memory, but only 1.9 GiB are available\n"


def test_the_peak_is_in_bytes_on_a_mac_too(monkeypatch):
    status = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert 0.9 * 1024 * kilobytes < memory.peak() < 1.1 * 1024 * kilobytes
    monkeypatch.setattr(sys, "platform", "darwin")
    assert 0.9 * kilobytes < memory.peak() < 1.1 * kilobytes  # what Linux counts in KiB


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc")
def test_what_was_freed_among_blocks_in_use_is_returned():
    code = """
import ctypes
from engine.host import memory
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
blocks = [libc.malloc(2**16) for _ in range(1000)]
for block in blocks:
    ctypes.memset(block, 1, 2**16)
for block in blocks[:-1]:
    libc.free(block)
before = resident()
memory.return_free()
assert resident() < before - 2**25
"""
    subprocess.run([sys.executable, "-c", code], check=True)
