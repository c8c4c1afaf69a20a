from pathlib import Path

from engine.host import memory


def test_it_is_what_the_kernel_says():
    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    assert memory.physical() == 1024 * kilobytes
