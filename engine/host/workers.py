"""Numbered pieces of work, shared by all cores: a gain where libraries that let go of the GIL take most of the time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from engine.host import cpu_count


def share(work: Callable[[int], None], count: int, threads: int | None = None) -> None:
    """Calls `work` with 0, 1, … count − 1: the caller's thread and others each take the next number that is left.

    A number is taken before all greater ones, so that a piece of work may wait for one of a lower number. `threads`:
    how many, the caller's among them; without it, one a core. When a piece raises, those begun are finished and no more
    are taken; raised is what that of the lowest number raised.
    """
    left = iter(range(count))
    failed: dict[int, BaseException] = {}

    def take() -> None:
        for number in left:
            try:
                work(number)
            except BaseException as e:
                failed[number] = e
                for _ in left:  # nobody shall take any more
                    pass

    others = min(threads or cpu_count.usable(), count) - 1
    begun = [_pool().submit(take) for _ in range(others)]
    take()
    for future in begun:
        if not future.cancel():  # one that has not begun would find nothing left
            future.result()
    if failed:
        raise failed[min(failed)]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cpu_count.usable(), thread_name_prefix="worker")
