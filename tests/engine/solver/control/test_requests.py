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


@pytest.mark.filterwarnings("ignore:os.fork")  # Python layers do it; what of JAX the child calls is nothing
def test_a_process_that_is_forked_off_ends_at_sigterm_and_leaves_the_rest_to_its_parent():
    requests = Requests()
    ours = {signal.SIGINT: Request.STOP, signal.SIGHUP: Request.SNAPSHOT, signal.SIGTERM: Request.YIELD}
    read, write = os.pipe()
    with signals(requests, ours):
        if (child := os.fork()) == 0:
            for number in (signal.SIGINT, signal.SIGINT, signal.SIGHUP):
                os.kill(os.getpid(), number)
            os.write(write, b"left")
            time.sleep(60)
            os._exit(0)
        assert os.read(read, 4) == b"left"
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
        assert requests.take() is None
