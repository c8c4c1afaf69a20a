"""`caffe` from its first moment on."""

import signal
import subprocess
import sys

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


def test_its_status_is_the_commands(monkeypatch, capsys):
    from engine.start import main

    monkeypatch.setattr(sys, "argv", ["caffe", "trian"])
    assert main() == 2
    assert "trian" in capsys.readouterr().err
