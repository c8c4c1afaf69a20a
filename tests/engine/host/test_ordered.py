import threading
import time

import pytest

from engine.host import cpu_count
from engine.host.ordered import AHEAD, mapped


def test_results_come_in_order_whoever_is_first():
    def slow(i):
        time.sleep(0.002 * (5 - i % 5))
        return i

    assert list(mapped(slow, range(30))) == list(range(30))


def test_little_is_under_way_at_a_time():
    begun = []
    results = mapped(lambda i: begun.append(i) or i, range(10_000))
    next(results)
    time.sleep(0.05)
    assert len(begun) <= AHEAD * cpu_count.usable() + 1
    results.close()


def test_what_is_raised_comes_in_its_place_and_ends_the_work():
    def bad(i):
        if i == 3:
            raise KeyError(i)
        return i

    results = mapped(bad, range(10_000))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(results)
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]
