"""Nodes that are asked different things act on the same one after the same iteration."""

from types import SimpleNamespace

import pytest

from engine.solver.control.consensus import LAG, Agreed, agreed
from engine.solver.control.requests import Request, Requests


class _Others:
    """Stands for the devices of several nodes: what the other nodes ask at each call."""

    nodes = 2

    def __init__(self, *asked: int) -> None:
        self.asked = iter(asked)

    def all_reduce_max(self, number: int) -> int:
        return max(number, next(self.asked, 0))


def _taken(requests: Requests, calls: int) -> list[Request | None]:
    return [requests.take() for _ in range(calls)]


def test_one_node_alone_has_nobody_to_ask():
    own = Requests()
    assert agreed(own, SimpleNamespace(nodes=1)) is own


def test_what_this_node_is_asked_is_done_a_few_iterations_later():
    own = Requests()
    own.add(Request.STOP)
    assert _taken(agreed(own, _Others()), LAG + 2) == [*[None] * LAG, Request.STOP, None]


def test_so_is_what_is_asked_of_all_through_this_node():
    both = agreed(Requests(), _Others())
    both.add(Request.STOP)
    assert _taken(both, LAG + 2) == [*[None] * LAG, Request.STOP, None]


def test_what_another_node_is_asked_is_done_at_the_same_iteration():
    assert _taken(agreed(Requests(), _Others(1)), LAG + 2) == [*[None] * LAG, Request.SNAPSHOT, None]


@pytest.mark.parametrize(
    ("mine", "theirs", "done"),
    [(Request.SNAPSHOT, 2, Request.STOP), (Request.STOP, 3, Request.YIELD), (Request.YIELD, 1, Request.YIELD)],
)
def test_of_two_the_one_that_asks_for_more_counts(mine, theirs, done):
    own = Requests()
    own.add(mine)
    assert _taken(agreed(own, _Others(theirs)), LAG + 1)[-1] is done


def test_a_test_is_ended_by_this_nodes_own_alone():
    own = Requests()
    both = Agreed(own, _Others(3))
    assert both.ending() is None
    own.add(Request.STOP)
    assert both.ending() is Request.STOP


def test_how_long_parts_take_is_kept_with_this_nodes_own():
    own = Requests()
    Agreed(own, _Others()).took("snapshot", 7)
    assert own.reserve() == 5 + 2 * 7
