import os
import sys
import time

import pytest

from hpcbrew.errors import TransportError
from hpcbrew.track import lasting


def test_what_is_no_dropped_connection_is_raised_at_once() -> None:
    def refused() -> None:
        raise TransportError("no such host")

    with pytest.raises(TransportError, match="no such host"):
        lasting.lasting(refused, pytest.fail)


def test_waiting_ends_when_the_reader_of_what_is_printed_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        lasting.wait(0.01)
        os.close(read)
        begun = time.monotonic()
        with pytest.raises(BrokenPipeError):
            lasting.wait(60)
        assert time.monotonic() - begun < 30
