import subprocess
import sys
from pathlib import Path

from engine.host import memory


def test_it_is_what_the_kernel_says():
    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    assert memory.physical() == 1024 * kilobytes


def test_the_least_of_the_limits_counts(tmp_path):
    code = "from engine.host import memory; print(memory.limit(), memory.lacking(1 << 40))"
    done = subprocess.run(
        ["bash", "-c", f"ulimit -v 2000000; {sys.executable} -c '{code}'"], check=True, capture_output=True, text=True
    )
    assert done.stdout == "2048000000 takes 1.0 TiB of memory, and there are 1.9 GiB here\n"
