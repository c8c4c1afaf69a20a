"""What is said while a net compiles."""

import io
import re
import time

import pytest

from engine import log
from engine.solver.report import compiling

TOLD = ["Compiling dense for its first batch; a large net takes minutes, once.", "Compiled in 0 s."]


@pytest.mark.parametrize(("seconds", "says"), [(0, []), (0.3, TOLD)])
def test_only_what_takes_long_is_told_of(seconds, says, monkeypatch):
    monkeypatch.setattr(compiling, "PATIENCE", 0.1)
    handlers = log.start(stream := io.StringIO())
    with compiling.compiling("dense"):
        time.sleep(seconds)
    time.sleep(0.2)
    log.stop(handlers)
    assert re.findall(r"\] (.*)", stream.getvalue()) == says
