"""`caffe plot_log`."""

import pytest

from engine.cli import main
from tests.engine.tools.test_training_log import OLD


@pytest.fixture
def log(tmp_path):
    (tmp_path / "a.log").write_text(OLD)
    return str(tmp_path / "a.log")


def test_all_curves_of_a_log(tmp_path, log, capsys):
    assert main(["plot_log", str(tmp_path / "a.svg"), log]) == 0
    drawn = (tmp_path / "a.svg").read_text()
    for said in ("a.log: train (diverged at 100)", "a.log: test", "a.log: test #1", "loss", "accuracy", "Iters"):
        assert f"<!-- {said} -->" in drawn
    assert capsys.readouterr().out == f"Wrote {tmp_path}/a.svg\n"


@pytest.mark.parametrize(
    ("chart", "y", "x"),
    [("0", "Test accuracy", "Iters"), ("5", "Train learning rate", "Seconds"), ("7", "Train loss", "Seconds")],
)
def test_bvlcs_charts_by_number(tmp_path, log, chart, y, x):
    assert main(["plot_log", chart, str(tmp_path / "a.svg"), log]) == 0
    drawn = (tmp_path / "a.svg").read_text()
    assert f"<!-- {y} -->" in drawn
    assert f"<!-- {x} -->" in drawn


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["8", "a.png", "LOG"], "chart 8: charts are 0 to 7"),
        (["a.png"], "one or more logs"),
        (["a.xyz", "LOG"], "a.xyz: cannot be written"),
        (["a.png", "none.log"], "none.log: cannot be read"),
    ],
)
def test_what_cannot_be_drawn_is_said(log, words, message, capsys):
    assert main(["plot_log", *(log if word == "LOG" else word for word in words)]) == 2
    assert message in capsys.readouterr().err


def test_a_chart_of_what_the_log_lacks_is_refused(tmp_path, capsys):
    (tmp_path / "a.log").write_text("Iteration 5, loss = 0.25\n")
    assert main(["plot_log", "0", str(tmp_path / "a.png"), str(tmp_path / "a.log")]) == 2
    assert "no test accuracy found in the log" in capsys.readouterr().err
