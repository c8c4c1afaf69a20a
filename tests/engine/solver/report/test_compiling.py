"""What is said while a net compiles."""

import io
import re
import threading

import pytest
from support.until import until

from engine import log
from engine.solver.report import compiling


@pytest.fixture
def stream():
    handlers = log.start(stream := io.StringIO())
    yield stream
    log.stop(handlers)


def test_what_is_quick_is_not_told_of(stream):
    with compiling.compiling("dense"):
        pass
    until(lambda: not any(isinstance(thread, threading.Timer) for thread in threading.enumerate()))
    assert stream.getvalue() == ""


def test_what_takes_long_is_told_of_and_then_how_long_it_took(stream, monkeypatch):
    monkeypatch.setattr(compiling, "PATIENCE", 0.05)
    with compiling.compiling("dense"):
        until(stream.getvalue)
    begun, done = re.findall(r"\] (.*)", stream.getvalue())
    assert begun == "Compiling dense for its first batch; a large net takes minutes, once."
    assert re.fullmatch(r"Compiled in \d+ s\.", done)
