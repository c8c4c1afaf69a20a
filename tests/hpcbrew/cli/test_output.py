import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.hostile_text import raw

from hpcbrew.cli import output
from hpcbrew.cli.output import figure
from hpcbrew.job import JobRecord


@pytest.mark.parametrize(
    ("value", "shown"), [(0.123456, "0.1235"), (3, "3"), ([1.0, None], "[1, nan]"), (None, "nan"), ("x", "nan")]
)
def test_figures_have_four_digits(value: object, shown: str) -> None:
    assert figure(value, "nan") == shown


def test_all_is_printed_through_one_module() -> None:
    """But for what is fixed: the rest may hold text from outside."""
    folder = Path(output.__file__).parent
    wrong = [
        f"{path.name}: {line.strip()}"
        for path in folder.glob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"\b(click\.s?echo|click\.style|print\(|sys\.std(out|err)\.(write|buffer))", line)
        if path.name != "output.py" and not re.search(r'echo\("[^{]*", err=True\)|console\.print\(printable', line)
    ]
    assert not wrong, "\n".join(wrong)


def on_terminal(command: list[str]) -> bytes:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the other side has gone
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert process.wait(60) == 0
    return shown


LOG = "plain é\n\x1b]0;PWNED\x07\x9b2J\ttab\rreturn\u202e\n".encode() + b"\xff\xc3"


@pytest.mark.parametrize("options", [(), ("-n", "9"), ("-f",)])
def test_a_log_is_raw_in_a_pipe_and_visible_on_a_terminal(lenet: JobRecord, options: tuple[str, ...]) -> None:
    Path(lenet.run_folder / "train.log").write_bytes(LOG)
    command = [sys.executable, "-P", "-m", "hpcbrew", "logs", "lenet", *options]
    assert subprocess.run(command, capture_output=True, check=True).stdout == LOG
    shown = on_terminal(command).replace(b"\r\n", b"\n").decode()
    assert shown.startswith("plain é\n\\x1b]0;PWNED\\x07\\x9b2J\ttab\\rreturn\\u202e\n\\xff")
    assert raw(shown) == []


def test_a_terminal_without_the_letters_is_no_fault(hpcbrew, lenet: JobRecord) -> None:
    done = hpcbrew("status", "--all", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert hpcbrew("logs", "é→", env={**os.environ, "PYTHONIOENCODING": "ascii"}).stderr.startswith(
        "hpcbrew: error: no job"
    )


def test_what_the_system_refuses_is_a_message(hpcbrew, tmp_path: Path) -> None:
    done = hpcbrew("submit", "x" * 300, "--cluster", "local")
    assert (done.returncode in (1, 2), "Traceback" in done.stderr) == (True, False)
    assert "File name too long" in done.stderr
