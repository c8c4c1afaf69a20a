import os
import signal
import threading

import pytest

from hpcbrew.submit.interrupts import put_off


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_is_noted_and_said_and_the_second_obeyed() -> None:
    said: list[str] = []
    with put_off(lambda: said.append("later")) as noted:
        assert not noted.pressed
        press()
        assert (noted.pressed, said) == (True, ["later"])
        with pytest.raises(KeyboardInterrupt):
            press()
    with pytest.raises(KeyboardInterrupt):
        press()


def test_what_was_noted_is_obeyed_when_asked_for() -> None:
    with put_off() as noted:
        noted.obey()
        press()
    with pytest.raises(KeyboardInterrupt):
        noted.obey()


def test_in_another_thread_nothing_is_changed() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with put_off():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
