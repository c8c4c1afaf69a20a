"""`caffe parse_log`."""

from engine.cli import main
from tests.engine.tools.test_training_log import OLD


def test_the_tables_are_those_of_bvlcs_tool(tmp_path, capsys):
    log = tmp_path / "a.log"
    log.write_text(OLD)
    (tmp_path / "out").mkdir()
    assert main(["parse_log", str(log), str(tmp_path / "out"), "-verbose"]) == 0
    assert (tmp_path / "out/a.log.train").read_text() == (
        "NumIters,Seconds,LearningRate,loss\n0.0,3.5,0.01,2.5\n100.0,10.25,1e-05,nan\n"
    )
    assert (tmp_path / "out/a.log.test").read_text() == (
        "NumIters,Seconds,LearningRate,accuracy,loss\n0.0,2.0,0.01,0.1,2.3\n150.0,11.0,1e-05,0.9,nan\n"
    )
    assert (tmp_path / "out/a.log.test1").read_text().splitlines()[1:] == ["150.0,11.0,1e-05,0.8"]
    assert f"Wrote {tmp_path}/out/a.log.train\n" in capsys.readouterr().out


def test_a_log_without_outputs_has_its_losses(tmp_path):
    (tmp_path / "a.log").write_text("Iteration 5, loss = 0.25\n")
    assert main(["parse_log", str(tmp_path / "a.log"), "-delimiter", ";"]) == 0
    assert (tmp_path / "a.log.train").read_text() == "NumIters;Seconds;LearningRate;loss\n5.0;nan;nan;0.25\n"


def test_what_cannot_be_read_or_written_is_said(tmp_path, capsys):
    assert main(["parse_log", str(tmp_path / "none.log")]) == 2
    assert "none.log: cannot be read" in capsys.readouterr().err
    (tmp_path / "a.log").write_text(OLD)
    assert main(["parse_log", str(tmp_path / "a.log"), str(tmp_path / "nowhere")]) == 2
    assert "nowhere/a.log.train: cannot be written" in capsys.readouterr().err
