"""Ctrl-C while something is loaded, while a library calls back, and at the end."""

import signal
import subprocess
import sys
import threading

from engine.host import interrupts

SCRIPT = """
import os, signal
from engine.host import interrupts
with interrupts.at_once():
    {}
print("outside", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
PRESSED = "os.kill(os.getpid(), signal.SIGINT)"


def ran(script: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_ctrl_c_inside_ends_the_process_in_words():
    assert ran(SCRIPT.format(PRESSED)) == (130, "", "caffe: interrupted\n")


def test_outside_it_is_pythons_again():
    assert ran(SCRIPT.format("pass")) == (0, "outside True\n", "")


def test_a_handler_of_somebody_elses_stays():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.at_once():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_threads_leave_it_alone():
    def work():
        with interrupts.at_once():
            done.append(signal.getsignal(signal.SIGINT))

    done: list[object] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [signal.getsignal(signal.SIGINT)]


LOST = """
import os, signal, time, weakref
from engine.host import interrupts
class Held: pass
def gone(_):
    os.kill(os.getpid(), signal.SIGINT)
with interrupts.heard():
    held = Held()
    ref = weakref.ref(held, gone)
    try:
        del held
        time.sleep(20)
        print("lost")
    except KeyboardInterrupt:
        print("heard")
"""


def test_ctrl_c_in_a_librarys_callback_is_raised_behind_it():
    assert ran(LOST) == (0, "heard\n", "")


def test_what_else_a_callback_raises_is_told_as_python_does():
    done = ran(
        LOST.replace("os.kill(os.getpid(), signal.SIGINT)", "raise ValueError('odd')").replace("sleep(20)", "sleep(0)")
    )
    assert done[:2] == (0, "lost\n")
    assert "ValueError: odd" in done[2]


def test_ctrl_c_on_the_way_out_ends_the_process_in_words():
    script = (
        f"import os, signal\nfrom engine.host import interrupts\nwith interrupts.heard('tool'):\n    pass\n{PRESSED}"
    )
    assert ran(script) == (130, "", "tool: interrupted\n")
