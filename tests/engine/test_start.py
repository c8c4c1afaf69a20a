"""`caffe` from its first moment on."""

import signal
import subprocess
import sys

import pytest

from engine import start

SLOW = """
import sys, time
class Slow:
    def find_spec(self, name, *_):
        if name == "click":
            print("loading", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Slow())
from engine.start import main
main()
"""


def test_ctrl_c_while_the_command_line_is_loaded_is_no_trace():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", SLOW], **pipes) as process:
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[1] == "caffe: interrupted\n"
    assert process.returncode == 130


@pytest.fixture(autouse=True)
def handler():
    """What ends the process at Ctrl-C once all is done must not end that of the tests."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_its_status_is_the_commands(monkeypatch, capsys):
    from engine.start import main

    monkeypatch.setattr(sys, "argv", ["caffe", "trian"])
    assert main() == 2
    assert "trian" in capsys.readouterr().err


def test_a_tool_is_found_by_its_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/bin/draw_net.py", "--help"])
    assert start.tool() == 0
    assert capsys.readouterr().out.startswith("Usage: draw_net")


@pytest.mark.parametrize("program", ["convert_imageset", "classify.py", "train.py"])
def test_a_library_that_is_missing_is_said_in_one_line(monkeypatch, capsys, program):
    monkeypatch.setattr(sys, "argv", [program])
    monkeypatch.setattr(start.importlib, "import_module", missing)
    assert start.tool() == 2
    said = "error: cv2 is not installed, and the engine needs it: pip install 'hpcbrew[engine]'\n"
    assert capsys.readouterr().err == f"{program}: {said}"


def missing(name):
    raise ModuleNotFoundError(f"no cv2 for {name}", name="cv2")
