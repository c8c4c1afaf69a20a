"""Pictures of curves."""

from engine.curves import Curve, Panel, draw


def test_a_panel_each_with_its_names(tmp_path):
    curves = [Curve("one $x$ \x1b", [(0, 1), (1, 2)]), Curve("empty", [])]
    draw([Panel("loss", curves), Panel("accuracy", [])], "Iteration", tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text()
    for said in ("one $x$", "loss", "accuracy", "Iteration"):
        assert f"<!-- {said}" in drawn
    assert "empty" not in drawn
    assert "\x1b" not in drawn
