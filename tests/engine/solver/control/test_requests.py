"""Signals and deadlines become requests."""

import os
import signal
import time

import pytest

from engine.solver.control.requests import EFFECTS, Request, Requests, signals


@pytest.mark.parametrize(
    ("number", "effect", "want"),
    [
        (signal.SIGINT, "stop", Request.STOP),
        (signal.SIGINT, "snapshot", Request.SNAPSHOT),
        (signal.SIGHUP, "snapshot", Request.SNAPSHOT),
        (signal.SIGHUP, "none", None),
    ],
)
def test_a_signal_asks_for_its_effect(number, effect, want):
    requests, before = Requests(), signal.getsignal(number)
    with signals(requests, {number: EFFECTS[effect]}):
        os.kill(os.getpid(), number)
        assert requests.take() is want
        assert requests.take() is None
    assert signal.getsignal(number) is before


def test_a_second_interrupt_stops_at_once():
    with signals(Requests(), {signal.SIGINT: Request.STOP}), pytest.raises(KeyboardInterrupt):  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_the_deadline_comes_as_early_as_the_last_snapshot_needs():
    requests = Requests(deadline=time.time() + 100)
    assert requests.take() is None
    requests.took("snapshot", 40)
    requests.took("iteration", 1)
    assert requests.take() is None
    requests.took("iteration", 8)
    requests.took("iteration", 2)
    assert requests.take() is Request.YIELD
    assert requests.take() is None


def test_what_ends_the_run_goes_before_a_snapshot():
    requests = Requests()
    for request in (Request.SNAPSHOT, Request.STOP):
        requests.add(request)
    assert requests.ending() is Request.STOP
    assert requests.ending() is None
    assert requests.take() is Request.SNAPSHOT
