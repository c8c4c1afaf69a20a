"""Which of two values is better, and how long nothing has been."""

import pytest

from engine.errors import SolverError
from engine.solver.best_tracker import Best, BestTracker


@pytest.mark.parametrize(
    ("name", "weight", "better", "worse"),
    [
        ("accuracy", 0.0, 0.9, 0.4),
        ("loss", 1.0, 0.4, 0.9),
        ("l2_error", 0.0, 0.4, 0.9),
        ("merry", 0.0, 0.9, 0.4),
        ("min:error", 0.0, 0.1, 0.2),
        ("max:loss", 1.0, 2.0, 1.0),
    ],
)
def test_the_tracker_knows_which_way_is_better(name, weight, better, worse):
    tracker = BestTracker.of(name)
    first = tracker.after(Best(), 0, 0.5 if name != "min:error" else 0.15, weight)
    second = tracker.after(first, 10, better, weight)
    third = tracker.after(second, 20, worse, weight)
    fourth = tracker.after(third, 30, float("nan"), weight)
    assert [best.is_new for best in (first, second, third, fourth)] == [True, True, False, False]
    assert fourth == Best(value=better, iteration=10, tests_since=2)


def test_an_output_may_have_a_colon_in_its_name():
    assert BestTracker.of("loss:1") == BestTracker("loss:1")
    assert BestTracker.of("min:") == BestTracker("min:")


def test_an_output_that_is_missing_is_named_with_those_there_are():
    with pytest.raises(SolverError, match="-watch a: no test net has that output; there are: b, c"):
        BestTracker.of("max:a").check({"c", "b"})


@pytest.mark.parametrize(("best", "last"), [(Best(0.5, iteration=8), 8), (Best(0.5, iteration=2, plateau=8), 8)])
def test_a_plateau_is_met_so_long_after_the_best_one_or_the_last_plateau(best, last):
    assert not best.is_plateau(last + 3, patience=4)
    assert best.is_plateau(last + 4, patience=4)
