"""caffe device_query."""

from engine.cli import main


def test_every_device_is_named(capsys):
    assert main(["device_query"]) == 0
    said = capsys.readouterr().err
    assert "Device id:                     0" in said
    assert "Platform:                      cpu" in said


def test_a_gpu_that_is_not_there_is_refused(capsys):
    assert main(["device_query", "-gpu", "0"]) == 2
    assert "caffe: error: " in capsys.readouterr().err
