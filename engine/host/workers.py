"""Shares numbered pieces of work among all cores; pays off if most time is spent in libraries that release the GIL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from engine.host import cpu_count


def share(work: Callable[[int], None], count: int, threads: int | None = None) -> None:
    """Calls `work` with 0, 1, … count − 1; the caller's thread and others each take the next number.

    Numbers are taken in ascending order, so a piece of work may wait for one with a lower number. threads: the number
    of threads, including the caller's; by default, one per core. When a piece raises, those already begun are finished
    and no more are taken; then the exception of the lowest number is raised.
    """
    numbers = iter(range(count))
    failed: dict[int, BaseException] = {}

    def take() -> None:
        for number in numbers:
            try:
                work(number)
            except BaseException as e:
                failed[number] = e
                for _ in numbers:  # leaves nothing to take
                    pass

    others = min(threads or cpu_count.usable(), count) - 1
    begun = [_pool().submit(take) for _ in range(others)]
    take()
    for future in begun:
        if not future.cancel():  # a thread that has not begun would find nothing to take
            future.result()
    if failed:
        raise failed[min(failed)]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cpu_count.usable(), thread_name_prefix="worker")
