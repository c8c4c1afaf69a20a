from pathlib import Path

import cv2
import numpy as np
import pytest
from support.small_nets import made

from engine.cli import main
from engine.net import weights
from engine.proto import binary

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } } }
layer { name: "conv1" type: "Convolution" bottom: "x" top: "conv1" convolution_param { num_output: 2 kernel_size: 3 } }
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    net = made(NET)
    params = net.init(0)
    params[0] = np.float32(range(54)).reshape(2, 3, 3, 3)
    params[1] = np.float32([np.nan, 0])
    binary.write(tmp_path / "a.caffemodel", weights.to_model(net, params))
    return str(tmp_path / "a.caffemodel")


def test_each_array_has_a_line(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", model]) == 0
    assert capsys.readouterr().out.splitlines() == [
        'model of net "", 2 layers',
        "layer  type         array  shape    count   norm  least  largest   zeros",
        "conv1  Convolution  0      2×3×3×3     54  225.9      0       53   1.9 %",
        "conv1  Convolution  1      2            2      0      0        0  50.0 %  1 of them not finite",
        "2 arrays of 1 layers, 56 numbers, 224 B in float32",
    ]


def test_filters_become_a_picture(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", model, "--filters", "conv1", str(tmp_path / "a.png")]) == 0
    assert "2 filters of 3×3; 0 is black, 53 white." in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "a.png")).shape[2] == 3


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["-filters", "conv1"], "name the picture to write"),
        (["-filters", "cnv1", "a.png"], 'Did you mean "conv1"?'),
        (["-features", "conv1", "a.png"], "-features needs the net and a picture"),
        (["-features", "conv1", "-filters", "conv1", "a.png"], "not both"),
        (["a.png"], "say what to draw to a.png"),
        (["-filters", "conv1", "/no/such/a.png"], "/no/such/a.png: cannot be written"),
        (["-mean_value", "a"], "not a comma-separated list of numbers"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    model: str, tmp_path: Path, flags: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["show", model, *flags]) == 2
    assert says in capsys.readouterr().err
