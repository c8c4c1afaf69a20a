"""Runs several tasks concurrently, while the waiting thread handles their questions to the user.

The terminal belongs to one thread: Ctrl-C reaches the main one, and two questions at once cannot be answered.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """The outcome of a task: a value, or the exception that ended it."""

    value: Result | None = None
    error: Exception | None = None

    def get(self) -> Result:
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # set if there is no error


@dataclass(frozen=True)
class _Front:
    """The thread that waits for others, and the calls that they want it to make."""

    thread: int = field(default_factory=threading.get_ident)
    errands: "queue.SimpleQueue[Callable[[], object]]" = field(default_factory=queue.SimpleQueue)


_fronts: list[_Front] = []
"""The waiting thread, if there is one. Questions may also come from threads that were started elsewhere: paramiko's."""


def run(tasks: Sequence[Callable[[], Result]]) -> list[Outcome[Result]]:
    """Returns the outcome of each task, in order. A single task is run directly.

    Ctrl-C abandons the tasks: they end with the program.
    """
    if len(tasks) == 1:
        return [_attempt(tasks[0])]
    outcomes: dict[int, Outcome[Result]] = {}
    front = _Front()

    def work(n: int, task: Callable[[], Result]) -> None:
        outcome = _attempt(task)
        front.errands.put(lambda: outcomes.__setitem__(n, outcome))

    _fronts.append(front)
    try:
        for n, task in enumerate(tasks):
            threading.Thread(target=work, args=(n, task), daemon=True).start()
        while len(outcomes) < len(tasks):
            front.errands.get()()
    finally:
        _fronts.remove(front)
    return [outcomes[n] for n in range(len(tasks))]


def ask(question: Callable[[], Result]) -> Result:
    """Returns the answer to a question, which the waiting thread asks when its turn comes."""
    front = _elsewhere()
    if front is None:
        return question()
    answers: queue.SimpleQueue[Outcome[Result]] = queue.SimpleQueue()
    front.errands.put(lambda: answers.put(_attempt(question)))
    return answers.get().get()


def tell(word: Callable[[], object]) -> None:
    """The same for a call without an answer; does not wait for it."""
    front = _elsewhere()
    if front is None:
        word()
    else:
        front.errands.put(word)


def _elsewhere() -> _Front | None:
    return _fronts[-1] if _fronts and _fronts[-1].thread != threading.get_ident() else None


def _attempt(task: Callable[[], Result]) -> Outcome[Result]:
    try:
        return Outcome(task())
    except Exception as error:  # raised where the outcome is used
        return Outcome(error=error)
