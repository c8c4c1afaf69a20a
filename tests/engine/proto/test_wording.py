"""The words for single mistakes; test_diagnose finds them in whole files."""

import pytest

from engine.proto import caffe_pb2 as pb
from engine.proto import wording
from engine.proto.tokens import tokenize

SOLVER, LAYER = pb.SolverParameter.DESCRIPTOR, pb.LayerParameter.DESCRIPTOR
TYPES = "SGD, NESTEROV, ADAGRAD, RMSPROP, ADADELTA, ADAM"


@pytest.mark.parametrize(
    ("name", "descriptor", "block", "said"),
    [
        ("bse_lr", SOLVER, "", '"bse_lr" is not a field of a solver. Nearest: base_lr.'),
        (
            "layer",
            SOLVER,
            "",
            '"layer" is not a field of a solver. It is one of a net; perhaps this is the wrong file.',
        ),
        ("rotate_roi_pooling_param", LAYER, "layer", "It belongs to RRPN (mjq11302010031/RRPN), a fork of Caffe."),
        ("num_output", LAYER, "layer", "It belongs inside one of its blocks: convolution_param, "),
        ("zzz", pb.BlobShape.DESCRIPTOR, "shape", '"zzz" is not a field of shape, whose fields are: dim.'),
    ],
)
def test_an_unknown_field_is_told_with_what_would_do(name, descriptor, block, said):
    assert said in wording.unknown_field(name, descriptor, block)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("max_iter", "17", None),
        ("max_iter", "0x1f", None),
        ("max_iter", "1e4", '"max_iter" is a whole number from -2147483648 to 2147483647, and 1e4 was found.'),
        ("base_lr", "1e-2", None),
        ("base_lr", ".1f", None),
        ("base_lr", "fast", '"base_lr" is a number, and fast was found.'),
        ("debug_info", "t", None),
        ("debug_info", "yes", '"debug_info" is true or false, and yes was found.'),
        ("solver_mode", "GPU", None),
        ("solver_type", "ADAM", None),
        ("solver_type", "ADAMM", f'"solver_type" is one of {TYPES}, and ADAMM was found. Nearest: ADAM.'),
        (
            "device_id",
            "[",
            '"device_id" takes one value, and a list was found. Write device_id: 1. Several GPUs: caffe train '
            "-gpu 0,1, or hpcbrew submit --gpus-per-node 2.",
        ),
        ("net", "'a'", None),
        ("net", "a", '"net" is text and needs quotation marks: net: "a".'),
    ],
)
def test_a_value_that_does_not_fit_its_field(field, value, said):
    (token,) = tokenize(value)
    assert wording.wrong_value(field, SOLVER.fields_by_name[field], token) == said
