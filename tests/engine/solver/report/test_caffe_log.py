"""The lines that tools which read Caffe's logs look for."""

import logging
from pathlib import Path

import numpy as np
import pytest
from support.small_nets import SMALL, made
from support.tiny_solver import parameter

from engine.proto import caffe_pb2 as pb
from engine.proto import text
from engine.solver.evaluation import Scores
from engine.solver.report.caffe_log import Report
from engine.solver.settings import NetSpec

DATABASE = Path(__file__).parents[2] / "data" / "golden" / "raw_lmdb"


@pytest.fixture
def report(log: pytest.LogCaptureFixture) -> Report:
    report = Report()
    report.start(made(SMALL), parameter("clip_gradients: 2 display: 10"), 0, devices=1)
    log.clear()
    return report


def test_a_net_is_told_layer_by_layer(log: pytest.LogCaptureFixture):
    spec = NetSpec(text.parse(SMALL, pb.NetParameter), pb.NetState(phase=pb.TRAIN), None, "a test")
    assert [layer.name for layer in Report().built(spec).layers] == ["x", "t", "a", "b", "loss"]
    assert log.messages[0].startswith("Initializing net from parameters: \n")
    at = log.messages.index("Creating Layer loss")
    assert log.messages[at:] == [
        "Creating Layer loss",
        "loss <- b",
        "loss <- t",
        "loss -> loss",
        "Setting up loss",
        "Top shape: (1)",
        "    with loss weight 1",
        "Memory required for data: 92",  # 4 bytes each of x 6, t 2, a 8, b 6, loss 1
        "loss needs backward computation.",
        "b needs backward computation.",
        "a needs backward computation.",
        "t does not need backward computation.",
        "x does not need backward computation.",
        "This network produces output loss",
        "Network initialization done.",
    ]


def test_a_parameter_that_is_shared_names_its_owner(log: pytest.LogCaptureFixture):
    layer = 'layer { name: "%s" type: "InnerProduct" bottom: "%s" top: "%s" param { name: "w" } %s }'
    sized = "inner_product_param { num_output: 3 }"
    first = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }'
    written = first + layer % ("a", "x", "a", sized) + layer % ("b", "a", "b", sized)
    net = text.parse(written, pb.NetParameter)
    Report().built(NetSpec(net, pb.NetState(), None, ""))
    assert "Sharing parameters 'w' owned by layer 'a', param index 0" in log.messages


def test_what_a_data_layer_has_to_say_stands_before_its_tops(log: pytest.LogCaptureFixture):
    net = f"""layer {{ name: "d" type: "Data" top: "data" top: "label"
        data_param {{ source: "{DATABASE}" batch_size: 2 backend: LMDB }} }}"""
    Report().built(NetSpec(text.parse(net, pb.NetParameter), pb.NetState(phase=pb.TRAIN), None, "a test"))
    at = log.messages.index("d -> label")
    assert log.messages[at : at + 5] == [
        "d -> label",
        f"Opened lmdb {DATABASE}",
        "output data size: 2,3,32,32",
        "Setting up d",
        "Top shape: 2 3 32 32 (6144)",
    ]


def test_an_iteration_tells_its_loss_its_outputs_and_its_rate(report: Report, log: pytest.LogCaptureFixture):
    report.iteration(10, 0.5, {"loss": np.float32(0.25)}, np.float32(0.1))
    first, *rest = log.messages
    assert first.startswith("Iteration 10 (")
    assert first.endswith("s/10 iters), loss = 0.5")
    assert rest == ["    Train net output #0: loss = 0.25 (* 1 = 0.25 loss)", "Iteration 10, lr = 0.1"]


def test_the_first_loss_that_is_no_number_is_warned_of_once(report: Report, log: pytest.LogCaptureFixture):
    for iteration, loss in ((0, 1.0), (10, float("nan")), (20, float("nan"))):
        report.iteration(iteration, loss, {}, np.float32(0.1))
    warned = [record.getMessage() for record in log.records if record.levelno == logging.WARNING]
    assert [words.partition(",")[0] for words in warned] == ["The loss is nan at iteration 10"]


@pytest.mark.parametrize(("norm", "said"), [(1.5, []), (2.0, []), (4.0, ["(L2 norm 4 > 2) by scale factor 0.5"])])
def test_only_gradients_that_were_clipped_are_told(norm: float, said: list[str], report: Report, log):
    report.clipping(norm)
    assert log.messages == [f"Gradient clipping: scaling down gradients {part}" for part in said]


@pytest.mark.parametrize("with_loss", [False, True])
def test_a_test_numbers_every_element_of_every_output(with_loss: bool, report: Report, log):
    net = made(SMALL.replace('top: "loss"', 'top: "loss" top: "p"'))
    scores = Scores(0.75, {"loss": np.float32(0.75), "p": np.float32([0.5, 0.25])})
    report.test(10, 0, net, scores, pb.SolverParameter(test_compute_loss=with_loss))
    assert log.messages == ["Test loss: 0.75"] * with_loss + [
        "    Test net output #0: loss = 0.75 (* 1 = 0.75 loss)",
        "    Test net output #1: p = 0.5",
        "    Test net output #2: p = 0.25",
    ]


def test_caffe_test_tells_every_batch_on_the_way(log: pytest.LogCaptureFixture):
    passes = [(np.float32(1), {"b": np.float32(2), "a": np.float32([3, 4])})] * 2
    assert list(Report().batches(passes)) == passes
    assert log.messages == [f"Batch {i}, {said}" for i in (0, 1) for said in ("a = 3", "a = 4", "b = 2")]
