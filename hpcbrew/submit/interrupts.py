"""Ctrl-C while a job is being sent: deferred as long as obeying it would leave the job's fate unknown."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after the user has been told what became of the job."""


@dataclass
class Interrupts:
    """Whether Ctrl-C was pressed while it was deferred."""

    pressed: bool = False

    def obey(self) -> None:
        """Raises KeyboardInterrupt if it was."""
        if self.pressed:
            raise KeyboardInterrupt


@contextlib.contextmanager
def put_off(say: Callable[[], object] = lambda: None) -> Iterator[Interrupts]:
    """Inside the context, the first Ctrl-C is only noted, and `say` is called; a second one is obeyed.

    Outside the main thread this changes nothing, since Ctrl-C does not arrive there.
    """
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return

    def note(signum: int, frame: FrameType | None) -> None:
        if interrupts.pressed:
            raise KeyboardInterrupt
        interrupts.pressed = True
        say()

    old_handler = signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, old_handler)
