"""Correlation."""

import numpy as np
import pytest
from support.layer_cases import Case, Cases, check_export, check_formula, check_refused

AB = {"a": (2, 3, 5, 6), "b": (2, 3, 5, 6)}
LAYER = 'type: "Correlation" correlation_param {{ kernel_size: {} max_displacement: {} {} }}'.format


def correlate(kernel, reach, pad=0, stride=(1, 1), alike=np.multiply):
    def formula(a, b):
        a, b = (np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)]) for x in (a, b))
        steps = range(-(reach // stride[1]) * stride[1], reach + 1, stride[1])
        firsts = [range(reach, n - reach - kernel + 1, stride[0]) for n in a.shape[2:]]
        tops = [
            alike(a[:, :, i : i + kernel, j : j + kernel], b[:, :, i + p : i + p + kernel, j + o : j + o + kernel])
            for p in steps
            for o in steps
            for i in firsts[0]
            for j in firsts[1]
        ]
        shape = len(a), len(steps) ** 2, len(firsts[0]), len(firsts[1])
        return np.mean(tops, axis=(2, 3, 4)).T.reshape(shape)

    return formula


class TestCases(Cases):
    cases = (
        Case("as FlowNetC", LAYER(1, 2, "pad: 2"), AB, correlate(1, 2, 2)),
        Case("patches", LAYER(3, 1, "pad: 1"), AB, correlate(3, 1, 1)),
        Case("strides", LAYER(1, 3, "pad: 3 stride_1: 2 stride_2: 2"), AB, correlate(1, 3, 3, (2, 2))),
    )


ACROSS = 'type: "Correlation1D" correlation_param {{ kernel_size: {} max_displacement: {} {} }}'.format


def correlate_across(kernel, steps, pad, reach, stride=1, alike=np.multiply):
    def formula(a, b):
        a = np.pad(a, [(0, 0), (0, 0), (0, 0), (pad, pad)])
        b = np.pad(b, [(0, 0), (0, 0), (0, 0), (pad + 9, pad + 9)])
        rows = range(0, a.shape[2] - kernel + 1, stride)
        columns = range(reach, a.shape[3] - reach - kernel + 1, stride)
        tops = [
            alike(a[:, :, i : i + kernel, j : j + kernel], b[:, :, i : i + kernel, j + o + 9 : j + o + 9 + kernel])
            for o in steps
            for i in rows
            for j in columns
        ]
        return np.mean(tops, axis=(2, 3, 4)).T.reshape(len(a), len(steps), len(rows), len(columns))

    return formula


class TestAcross(Cases):
    cases = (
        Case("across", ACROSS(1, 3, "pad: 3 stride_2: 2"), AB, correlate_across(1, [-2, 0, 2], 3, 3)),
        Case("to the right", ACROSS(3, 2, "pad: 2 single_direction: 1"), AB, correlate_across(3, range(3), 2, 2)),
        Case(
            "to the left",
            ACROSS(1, 2, "stride_1: 2 single_direction: -1"),
            AB,
            correlate_across(1, [-3, -2, -1], 0, 2, 2),
        ),
    )


def test_differences_equal_the_formula():
    case = Case(
        "differences",
        LAYER(3, 1, "pad: 2 correlation_type: SUBTRACT"),
        AB,
        correlate(3, 1, 2, alike=lambda a, b: np.abs(a - b)),
    )
    check_formula(case)
    check_export(case)


@pytest.mark.parametrize(
    ("layer", "bottoms", "message"),
    [
        (LAYER(1, 0, ""), {**AB, "b": (2, 3, 5, 5)}, "of one shape"),
        (LAYER(2, 0, ""), AB, "kernel_size is 2"),
        ('type: "Correlation" correlation_param { kernel_size: 1 }', AB, "needs max_displacement"),
        (LAYER(1, 0, "stride_2: 0"), AB, "stride_2 is 0"),
        (ACROSS(1, 1, "single_direction: 2"), AB, "single_direction is 2; it must be"),
        (LAYER(1, 2000000000, ""), AB, "do not fit"),
        (ACROSS(1, 2, "stride_2: 4294967295 single_direction: -1"), AB, r"\"a\", padded, of shape .* bytes"),
        (LAYER(1, 3, ""), AB, "do not fit bottom .a. of 5×6 with pad 0. Give it a larger pad"),
    ],
)
def test_wrong_configuration_is_refused(layer, bottoms, message):
    check_refused(layer, bottoms, message)
