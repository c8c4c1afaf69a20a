"""draw_net.py: a net's prototxt in, a picture out."""

import pytest

from engine.cli import main as caffe_main
from engine.tools import draw_net

NET = """name: "x"
layer { name: "data" type: "Input" top: "data" include { phase: TEST } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" }
"""


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    return str(tmp_path / "net.prototxt")


def test_a_net_is_drawn(net, tmp_path, capsys):
    assert draw_net.main([net, str(tmp_path / "net.raw"), "--rankdir", "TB", "--display_lrm"]) == 0
    drawn = (tmp_path / "net.raw").read_text()
    assert 'rankdir="TB"' in drawn
    assert "lr mult: 1.0, 1.0" in drawn
    assert capsys.readouterr().out.startswith("Drawing net to ")


def test_a_phase_is_drawn(net, tmp_path):
    assert draw_net.main(["--phase", "TRAIN", net, str(tmp_path / "net.raw")]) == 0
    assert "Input" not in (tmp_path / "net.raw").read_text()


@pytest.mark.parametrize(
    ("name", "picture", "message"),
    [("gone.prototxt", "x.svg", "no such file"), ("net.prototxt", "x", "file extension")],
)
def test_what_cannot_be_drawn_is_told(net, tmp_path, name, picture, message, capsys):
    assert draw_net.main([str(tmp_path / name), str(tmp_path / picture)]) == 2
    assert message in capsys.readouterr().err


def test_it_is_a_command_of_caffe_too(net, tmp_path):
    assert caffe_main(["draw", "-phase", "TEST", net, str(tmp_path / "net.svg")]) == 0
    assert (tmp_path / "net.svg").read_text().startswith("<")
