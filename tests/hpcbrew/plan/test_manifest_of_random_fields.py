"""Nets with a MultiStageMeanfield: the weights that it begins with go along in the net itself."""

from pathlib import Path

import pytest

from engine.errors import LayerError
from hpcbrew.job import JobRequest
from hpcbrew.plan.manifest import Manifest, collect

FIELD = """
layer { name: "maps" type: "Input" top: "maps" top: "picture"
  input_param { shape { dim: 1 dim: 2 dim: 8 dim: 8 } shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "crf" type: "MultiStageMeanfield" bottom: "maps" bottom: "maps" bottom: "picture" top: "crf"
  multi_stage_meanfield_param { theta_alpha: 160 theta_beta: 3 theta_gamma: 3 num_iterations: 5 } }
"""


def manifest(model: Path) -> Manifest:
    net = model / "net.prototxt"
    net.write_text(net.read_text() + FIELD)
    return collect(JobRequest(model / "solver.prototxt"))


def test_files_of_weights_are_written_into_the_net(model: Path) -> None:
    for name in ("spatial", "bilateral"):
        (model / f"{name}.par").write_text("3\n2\n")
    net = manifest(model).texts(lambda item: str(item.path))["net.prototxt"]
    assert 'spatial_filter_weights_str: "3 2"' in net
    assert 'bilateral_filter_weights_str: "3 2"' in net


def test_files_that_are_not_there_are_told_of(model: Path) -> None:
    with pytest.raises(LayerError, match=r"weights in spatial\.par, which is not there"):
        manifest(model)
