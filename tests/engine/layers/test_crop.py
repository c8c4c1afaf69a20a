"""Crop, against slices."""

import pytest
from support.layer_cases import Case, check_export, check_formula, check_gradient, check_refused

X = (2, 3, 6, 5)
CASES = [
    Case(name, f'type: "Crop" crop_param {{ {options} }}', {"x": x, "like": like}, formula)
    for name, options, x, like, formula in [
        ("no offset", "", X, (1, 1, 4, 2), lambda x, _: x[:, :, :4, :2]),
        ("one for all", "offset: 2", X, (9, 9, 4, 2), lambda x, _: x[:, :, 2:, 2:4]),
        ("one an axis", "axis: 1 offset: [1, 0, 3]", X, (1, 2, 5, 2), lambda x, _: x[:, 1:3, 0:5, 3:5]),
        ("last axis", "axis: -1 offset: 1", X, (1, 1, 1, 3), lambda x, _: x[..., 1:4]),
        ("all axes", "axis: 0 offset: [1, 0, 2, 1]", X, (1, 2, 3, 4), lambda x, _: x[1:, :2, 2:5, 1:]),
        ("whole", "", X, X, lambda x, _: x),
        ("5 axes", "axis: 3", (1, 2, 3, 4, 5), (1, 1, 1, 2, 2), lambda x, _: x[..., :2, :2]),
        ("more axes in the second", "axis: 1", (2, 4), (2, 3, 7), lambda x, _: x[:, :3]),
    ]
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
        ("offset: 3", (1, 1, 4, 2), 'along axis 2, 4 from offset 3 on goes beyond bottom "x", which has 6'),
        ("", (1, 1, 2, 6), "along axis 3, 6 from offset 0 on goes beyond"),
        ("axis: 4", (1, 1, 2, 2), "axis 4 is not one of its bottom"),
        ("axis: 1", (1, 2, 2), "has fewer axes than"),
    ],
)
def test_wrong_configuration_is_refused(options, like, message):
    check_refused(f'type: "Crop" crop_param {{ {options} }}', {"x": X, "like": like}, message)
