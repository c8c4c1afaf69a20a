"""Layers that move values: Concat, Slice, Flatten, Reshape, Permute, Tile, Flip."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_refused, net_of

from engine.errors import LayerError

X = {"x": (2, 6, 4)}
ONE = np.arange(1.0)
PERMUTE = 'type: "Permute" permute_param {{ {} }}'.format


def concat(axis):
    return lambda *xs: np.concatenate(xs, axis)


def parts(*points, axis=1):
    return lambda x: tuple(np.split(x, points, axis))


def shaped(*shape):
    return lambda x: x.reshape(shape)


def reshape(dims, more=""):
    return f'type: "Reshape" reshape_param {{ shape {{ {" ".join(f"dim: {d}" for d in dims)} }} {more} }}'


CASES = [
    Case("squeeze", 'type: "Squeeze"', {"x": (1, 2, 1, 3)}, lambda x: x[0, :, 0]),
    Case("squeeze the last", 'type: "Squeeze" squeeze_param { axis: -1 }', {"x": (1, 2, 1)}, lambda x: x[..., 0]),
    Case(
        "shuffle channels",
        'type: "ShuffleChannel" shuffle_channel_param { group: 2 }',
        {"x": (2, 6, 3)},
        lambda x: x[:, [0, 3, 1, 4, 2, 5]],
    ),
    Case("concat 3", 'type: "Concat"', {"a": (2, 3), "b": (2, 1), "c": (2, 4)}, concat(1)),
    Case(
        "concat from the end", 'type: "Concat" concat_param { axis: -1 }', {"a": (2, 3, 1), "b": (2, 3, 2)}, concat(2)
    ),
    Case(
        "concat by its old field",
        'type: "Concat" concat_param { concat_dim: 0 }',
        {"a": (2, 3), "b": (1, 3)},
        concat(0),
    ),
    Case("concat with nothing", 'type: "Concat"', {"a": (2, 0), "b": (2, 4)}, concat(1)),
    Case("concat one", 'type: "Concat"', {"a": (2, 3)}, concat(1)),
    Case("slice at points", 'type: "Slice" slice_param { slice_point: 1 slice_point: 4 }', X, parts(1, 4), tops=3),
    Case("slice evenly", 'type: "Slice" slice_param { axis: -1 }', X, parts(2, axis=2), tops=2),
    Case("slice by its old field", 'type: "Slice" slice_param { slice_dim: 0 }', X, parts(1, axis=0), tops=2),
    Case("slice into one", 'type: "Slice"', X, lambda x: x),
    Case("flatten", 'type: "Flatten"', {"x": (2, 3, 4, 5)}, shaped(2, 60)),
    Case(
        "flatten inner", 'type: "Flatten" flatten_param { axis: 1 end_axis: -2 }', {"x": (2, 3, 4, 5)}, shaped(2, 12, 5)
    ),
    Case("flatten one axis", 'type: "Flatten" flatten_param { axis: 0 end_axis: 0 }', X, lambda x: x),
    Case(
        "flatten to a new axis",
        'type: "Flatten" flatten_param { axis: 2 end_axis: 1 }',
        {"x": (2, 3, 4)},
        shaped(2, 3, 1, 4),
    ),
    Case("flatten nothing", 'type: "Flatten"', {"x": (0, 3, 4)}, shaped(0, 12)),
    Case("reshape keeps and infers", reshape([0, -1, 8]), X, shaped(2, 3, 8)),
    Case("reshape inner", reshape([3, 2], "axis: 1 num_axes: 1"), X, shaped(2, 3, 2, 4)),
    Case("reshape inserts an axis", reshape([1, 1], "axis: 1 num_axes: 0"), X, shaped(2, 1, 1, 6, 4)),
    Case("reshape appends an axis", reshape([1], "axis: -1 num_axes: 0"), X, shaped(2, 6, 4, 1)),
    Case("reshape infers an inner dim", reshape([-1, 3], "axis: 1 num_axes: 1"), X, shaped(2, 2, 3, 4)),
    Case("reshape keeps from its axis on", reshape([0, 2, 2], "axis: 1"), X, shaped(2, 6, 2, 2)),
    Case("reshape to a scalar", reshape([]), {"x": (1, 1)}, shaped()),
    Case("reshape nothing", reshape([0, 12]), {"x": (0, 3, 4)}, shaped(0, 12)),
    Case("permute", PERMUTE("order: 2 order: 0 order: 1"), X, lambda x: x.transpose(2, 0, 1)),
    Case("permute, the rest as it was", PERMUTE("order: 1"), {"x": (2, 3, 4, 5)}, lambda x: x.transpose(1, 0, 2, 3)),
    Case(
        "tensor transpose",
        'type: "TensorTranspose" tensor_transpose_param { order: [2, 0, 1] }',
        X,
        lambda x: x.transpose(2, 0, 1),
    ),
    Case("transpose", 'type: "Transpose" transpose_param { dim: [2, 0, 1] }', X, lambda x: x.transpose(2, 0, 1)),
    Case("reverse", 'type: "Reverse" reverse_param { axis: 1 }', X, lambda x: x[:, ::-1]),
    Case("permute nothing", PERMUTE(""), X, lambda x: x),
    Case("tile", 'type: "Tile" tile_param { axis: -1 tiles: 3 }', X, lambda x: np.tile(x, 3)),
    Case("tile outer", 'type: "Tile" tile_param { axis: 0 tiles: 2 }', X, lambda x: np.tile(x, (2, 1, 1))),
    Case("flip", 'type: "Flip"', {"x": (2, 3, 4, 5)}, lambda x: x[..., ::-1]),
    Case(
        "flip rows",
        'type: "Flip" flip_param { flip_width: false flip_height: true }',
        {"x": (2, 3, 4, 5)},
        lambda x: x[..., ::-1, :],
    ),
    Case("tile once", 'type: "Tile" tile_param { tiles: 1 }', X, lambda x: x),
]


class TestCases(Cases):
    cases = CASES


REFUSED = [
    ('type: "ShuffleChannel" shuffle_channel_param { group: 4 }', {"x": (2, 6)}, "cannot be split into group: 4"),
    ('type: "ShuffleChannel"', {"x": (6,)}, "2 axes or more"),
    ('type: "Flip"', X, "4 axes are needed"),
    ('type: "Concat" concat_param { axis: 1 concat_dim: 1 }', X, "axis and concat_dim"),
    ('type: "Concat" concat_param { concat_dim: 3 }', X, "concat_dim 3 is not one of"),
    ('type: "Concat"', {"a": (2, 3), "b": (3, 3)}, r'"b" has shape \[3, 3\] and bottom "a" \[2, 3\].* axis 1 only'),
    ('type: "Concat"', {"a": (2, 3), "b": (2, 3, 1)}, r"\[2, 3, 1\]"),
    ('type: "Slice" slice_param { axis: 1 slice_dim: 1 }', X, "axis and slice_dim"),
    ('type: "Slice" slice_param { slice_point: 2 }', X, "1 slice_point for 1 tops"),
    ('type: "Flatten" flatten_param { axis: 2 end_axis: 0 }', X, "end_axis 0 lies before axis 2"),
    ('type: "Flatten"', {"x": (3,)}, "axis 1 is not one of"),
    (reshape([-1, -1]), X, "except one that may be −1"),
    (reshape([-2]), X, "0 or more"),
    (reshape([5, -1]), X, "48 values are no multiple of 5"),
    (reshape([2, 5]), X, r"48 values do not fit \[2, 5\], which has 10"),
    (reshape([2, 6, 4, 0]), X, "dim 3 is 0, but there is no axis 3"),
    (reshape([1], "axis: 4"), X, "axis 4 is not one of"),
    (reshape([1], "axis: 2 num_axes: 2"), X, "num_axes 2 from axis 2 on does not fit"),
    (reshape([1], "num_axes: -2"), X, "num_axes -2 from axis 0"),
    ('type: "Transpose" transpose_param { dim: [0, 1] }', X, "it names 2 dim for a bottom .*; name each axis"),
    ('type: "TensorTranspose" tensor_transpose_param { order: [0, 1] }', X, "it names 2 order"),
    (PERMUTE("order: 3"), X, "order 3 is not an axis of its bottom"),
    (PERMUTE("order: 1 order: 1"), X, r"order \[1, 1\] names an axis twice"),
    ('type: "Tile"', X, "tiles is not given"),
    ('type: "Tile" tile_param { tiles: 0 }', X, "tiles is 0"),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), REFUSED)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("", r"6 values of .* \[2, 6, 4\] along axis 1 do not make 4 equal tops"),
        ("slice_point: 1 slice_point: 3 slice_point: 3", r"\[1, 3, 3\] must rise"),
        ("slice_point: 1 slice_point: 3 slice_point: 6", "between 0 and 6"),
        ("slice_point: 1", "3 are needed"),
    ],
)
def test_slices_that_do_not_fit_are_refused(points, message):
    check_refused(f'type: "Slice" slice_param {{ {points} }}', X, message, tops=4)


@pytest.mark.parametrize("layer", ['type: "Flatten"', reshape([0, -1])])
def test_a_new_shape_cannot_be_made_in_place(layer):
    with pytest.raises(LayerError, match="cannot be computed in place"):
        net_of(f'{layer} top: "x"', X, tops=0)


def test_only_axes_of_length_1_are_squeezed():
    check_refused('type: "Squeeze" squeeze_param { axis: 1 }', {"x": (1, 2)}, r"axis 1 .* is not of length 1")
