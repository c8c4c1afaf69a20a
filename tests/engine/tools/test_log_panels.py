"""What logs tell, in panels."""

import math

import pytest

from engine.tools.log_panels import View, panels
from engine.tools.training_log import Row, TrainingLog

LOG = TrainingLog(
    [Row(n, seconds=n / 2, rate=0.1, loss=4.0 - n) for n in range(4)],
    {0: [Row(2, 1.0, outputs={"accuracy": 0.5, "loss": 1.5})]},
)


def drawn(view: View, **logs: TrainingLog) -> dict[str, dict[str, list[tuple[float, float]]]]:
    return {panel.y: {c.label: list(c.points) for c in panel.curves} for panel in panels(logs or {"": LOG}, view)}


def test_losses_are_in_one_panel_and_other_outputs_in_their_own() -> None:
    assert drawn(View()) == {
        "loss": {"train": [(0, 4.0), (1, 3.0), (2, 2.0), (3, 1.0)], "test": [(2, 1.5)]},
        "accuracy": {"test": [(2, 0.5)]},
    }


def test_rate_and_throughput_on_request_and_over_seconds() -> None:
    found = drawn(View("Seconds", rate=True, throughput=True))
    assert found["learning rate"] == {"train": [(0.0, 0.1), (0.5, 0.1), (1.0, 0.1), (1.5, 0.1)]}
    assert found["iterations a second"] == {"train": [(0.5, 2.0), (1.0, 2.0), (1.5, 2.0)]}


def test_smoothing_shows_the_mean_of_the_last_values() -> None:
    assert drawn(View(smooth=2))["loss"]["train"] == [(0, 4.0), (1, pytest.approx(3.5)), (2, 2.5), (3, 1.5)]


def test_tests_are_shown_as_they_are_where_training_is_smoothed() -> None:
    log = TrainingLog([], {0: [Row(n, outputs={"loss": 4.0 - n}) for n in range(3)]})
    assert drawn(View(smooth=2), a=log)["loss"] == {"a: test": [(0, 4.0), (1, 3.0), (2, 2.0)]}


def test_a_log_has_one_colour_and_its_name_in_the_legend() -> None:
    (losses, _) = panels({"a": LOG, "b": LOG}, View())
    assert [(c.label, c.group, c.dashed) for c in losses.curves] == [
        ("a: train", 0, False), ("b: train", 1, False), ("a: test", 0, True), ("b: test", 1, True),
    ]  # fmt: skip


def test_a_training_that_diverged_is_shown_to_have() -> None:
    log = TrainingLog([Row(0, loss=2.0), Row(1, loss=math.nan)], diverged=1)
    ((curve, *_), *_) = (panel.curves for panel in panels({"a": log}, View()))
    assert (curve.label, curve.broken, curve.points) == ("a: train (diverged at 1)", True, [(0, 2.0)])
