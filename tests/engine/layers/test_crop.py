"""Crop, against slices."""

import pytest
from harness import Case, check_export, check_formula, check_gradient, check_refused

X = (2, 3, 6, 5)
CASES = [
    Case("no offset", 'type: "Crop"', {"x": X, "like": (1, 1, 4, 2)}, lambda x, like: x[:, :, :4, :2]),
    Case(
        "one for all",
        'type: "Crop" crop_param { offset: 2 }',
        {"x": X, "like": (9, 9, 4, 2)},
        lambda x, _: x[:, :, 2:, 2:4],
    ),
    Case(
        "one an axis",
        'type: "Crop" crop_param { axis: 1 offset: [1, 0, 3] }',
        {"x": X, "like": (1, 2, 5, 2)},
        lambda x, _: x[:, 1:3, 0:5, 3:5],
    ),
    Case(
        "last axis",
        'type: "Crop" crop_param { axis: -1 offset: 1 }',
        {"x": X, "like": (1, 1, 1, 3)},
        lambda x, _: x[..., 1:4],
    ),
    Case(
        "all axes",
        'type: "Crop" crop_param { axis: 0 offset: [1, 0, 2, 1] }',
        {"x": X, "like": (1, 2, 3, 4)},
        lambda x, _: x[1:, :2, 2:5, 1:],
    ),
    Case("whole", 'type: "Crop"', {"x": X, "like": X}, lambda x, _: x),
    Case(
        "5 axes",
        'type: "Crop" crop_param { axis: 3 }',
        {"x": (1, 2, 3, 4, 5), "like": (1, 1, 1, 2, 2)},
        lambda x, _: x[..., :2, :2],
    ),
    Case(
        "more axes in the second",
        'type: "Crop" crop_param { axis: 1 }',
        {"x": (2, 4), "like": (2, 3, 7)},
        lambda x, _: x[:, :3],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tops_equal_the_slices(case):
    check_formula(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_is_the_numerical_one(case):
    check_gradient(case)


@pytest.mark.parametrize("case", CASES[:1], ids=str)
def test_step_lowers_for_cuda(case):
    check_export(case)


def test_the_second_bottom_has_no_gradient():
    assert CASES[0].differentiable() == ["x"]


@pytest.mark.parametrize(
    ("options", "like", "message"),
    [
        ("offset: [1, 2, 3]", (1, 1, 2, 2), '3 offsets for the 2 axes of bottom "x" from axis 2 on'),
        ("offset: 3", (1, 1, 4, 2), 'along axis 2, 4 from offset 3 on end behind bottom "x", which has 6'),
        ("", (1, 1, 2, 6), "along axis 3, 6 from offset 0 on end behind"),
        ("axis: 4", (1, 1, 2, 2), "axis 4 is not one of its bottom"),
        ("axis: 1", (1, 2, 2), "has fewer axes than"),
    ],
)
def test_wrong_configuration_is_refused(options, like, message):
    check_refused(f'type: "Crop" crop_param {{ {options} }}', {"x": X, "like": like}, message)
