"""Curves on terminals."""

from engine.curves import Curve, Panel
from engine.curves_in_text import draw


def lines(panel: Panel, **how: bool) -> list[str]:
    return ["".join(text for text, _ in line) for line in draw([panel], "Iteration", 27, 3, **how)]


def test_a_curve_falls_from_the_left_to_the_right_between_its_values() -> None:
    assert lines(Panel("loss", [Curve("train", [(0, 2.0), (9, 0.5)])]), braille=False) == [
        "loss",
        "         2 |****",
        "      1.25 |    *******",
        "       0.5 |           ****",
        "            0   9 Iteration",
        "            * train",
        "",
    ]


def test_a_character_of_braille_has_eight_dots_and_its_curves_colour() -> None:
    up, down = Curve("up", [(0, 0), (1, 1)], 0), Curve("down", [(0, 1), (1, 0)], 1, dashed=True)
    (_, first, *_) = draw([Panel("y", [up, down])], "Iteration", 24, 3)
    assert [(len(text), group) for text, group in first[1:]] == [(8, 1), (4, 0)]
    assert all(0x2800 <= ord(c) < 0x2900 or c == " " for text, _ in first[1:] for c in text)


def test_a_logarithmic_axis_leaves_out_what_has_no_logarithm() -> None:
    drawn = lines(Panel("loss", [Curve("train", [(0, 100.0), (1, 0.0), (2, 1.0)])]), log=True, braille=False)
    assert [line[:10].strip() for line in drawn[1:4]] == ["100", "10", "1"]


def test_of_what_nothing_is_known_that_is_said() -> None:
    assert lines(Panel("loss", [Curve("train", [])])) == ["loss", "  no values", ""]


def test_a_long_label_goes_on_below_itself() -> None:
    panel = Panel("loss", [Curve("lenet[1], base_lr 0.01: train", [(0, 2.0), (9, 0.5)])])
    assert lines(panel, braille=False)[-4:-1] == [
        "            * lenet[1],",
        "              base_lr 0.01:",
        "              train",
    ]
