"""caffe convert_mnist: the tool's arguments go through as they are, and so does its status."""

from engine.cli import main


def test_it_is_the_tool(tmp_path, capsys):
    gone = [str(tmp_path / name) for name in ("images", "labels", "db")]
    assert main(["convert_mnist", "-backend=lmdb", *gone]) == 2
    assert f"convert_mnist_data: error: {gone[0]}: " in capsys.readouterr().err
