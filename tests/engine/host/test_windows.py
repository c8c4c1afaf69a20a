"""Simulates Windows: its Python has neither these modules nor these names."""

import subprocess
import sys

import pytest

# Any module that is imported all the same fails with a traceback.
WINDOWS = """
import os, sys
sys.platform = "win32"
for name in ("fcntl", "grp", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
for name in ("getuid", "register_at_fork", "sysconf", "O_NONBLOCK", "O_CLOEXEC"):
    delattr(os, name)
"""


@pytest.mark.parametrize(
    ("program", "start"),
    [
        ("hpcbrew", "from hpcbrew.__main__ import main; main()"),
        ("caffe", "from engine.start import main; main()"),
        ("convert_imageset", "sys.argv = ['C:/convert_imageset']; from engine.start import tool; tool()"),
    ],
)
def test_programs_name_wsl(program: str, start: str) -> None:
    done = subprocess.run([sys.executable, "-c", WINDOWS + start], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{program}: runs on Linux and macOS, and on Windows only inside WSL")
    assert ("wsl --install" in done.stderr, len(done.stderr.splitlines())) == (True, 1)


def test_import_caffe_names_wsl() -> None:
    start = "\ntry:\n    import caffe\nexcept ImportError as e:\n    print(e)"
    done = subprocess.run([sys.executable, "-c", WINDOWS + start], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("caffe runs on Linux and macOS, and on Windows only inside WSL")
