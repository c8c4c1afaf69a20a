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
    assert done.stdout == "2048000000 takes 1.1 TB of memory, and there are 2.0 GB here\n"


def test_amounts():
    assert [memory.amount(n) for n in (0, 999, 1500, 25_300_000_000, 10**24)] == [
        "0 bytes", "999 bytes", "1.5 kB", "25.3 GB", "1,000,000.0 EB",
    ]  # fmt: skip
