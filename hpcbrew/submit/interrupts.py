"""Ctrl-C while a job is sent: put off while it would leave nobody knowing what came of the job."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after it has been said what came of the job."""


@dataclass
class Interrupts:
    """Whether Ctrl-C was pressed while it was put off."""

    pressed: bool = False

    def obey(self) -> None:
        """Raises KeyboardInterrupt where it was."""
        if self.pressed:
            raise KeyboardInterrupt


@contextlib.contextmanager
def put_off(say: Callable[[], object] = lambda: None) -> Iterator[Interrupts]:
    """Inside, the first Ctrl-C is only noted, and `say` is called; a second one is obeyed.

    In another thread than the main one nothing is changed: Ctrl-C does not come there.
    """
    noted = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(signum: int, frame: FrameType | None) -> None:
        if noted.pressed:
            raise KeyboardInterrupt
        noted.pressed = True
        say()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
