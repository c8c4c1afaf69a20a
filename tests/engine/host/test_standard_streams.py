import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.host import standard_streams

PROGRAMS = ("engine.cli", "engine.tools.convert_imageset", "hpcbrew")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_full_disk_under_standard_output_is_said_in_one_line(program: str) -> None:
    command = [sys.executable, "-P", "-m", program, "--help"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=buffered)
    assert done.returncode == 1
    assert done.stderr.endswith("standard output: No space left on device\n")
    assert done.stderr.count("\n") == 1


def test_a_stream_that_is_closed_leaves_its_place_to_no_file() -> None:
    code = (
        "import sys; from engine.host import standard_streams as s; s.open_missing(); "
        "file = open('/dev/zero'); print(file.fileno(), file=sys.stderr); print('unseen')"
    )
    done = subprocess.run(
        ["bash", "-c", f'exec "{sys.executable}" -P -c "{code}" >&-'], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "3\n")


def test_a_file_is_named() -> None:
    error = OSError(28, "No space left on device", "model.caffemodel")
    assert standard_streams.refused(error) == "model.caffemodel: No space left on device"
