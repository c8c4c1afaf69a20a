"""Pooling, PoolingND and SPP, against windows written out one by one."""

from collections import Counter

import jax
import numpy as np
import pytest
from support.layer_cases import (
    Case,
    assert_close,
    check_export,
    check_formula,
    check_gradient,
    check_refused,
    quickly_compiled,
    slopes,
    slow_unless,
)

from engine.proto import caffe_pb2 as pb
from engine.proto import text


def windows(options, height, width):
    """(rows, columns) of outputs, and for each output its window: rows, columns and size within the padded image."""
    p = text.parse(options, pb.PoolingParameter)
    axes = []
    for size, hw in ((height, "h"), (width, "w")):
        both = f"kernel_{hw}"
        kernel = size if p.global_pooling else getattr(p, both) if p.HasField(both) else p.kernel_size
        stride = getattr(p, f"stride_{hw}") if p.HasField("stride_h") else p.stride
        pad = getattr(p, f"pad_{hw}") if p.HasField("pad_h") else p.pad
        axes.append((size, kernel, stride, pad))
    padded = any(pad for *_, pad in axes)
    spans = []
    for size, kernel, stride, pad in axes:
        steps = (size + 2 * pad - kernel) / stride
        floors = p.round_mode == p.FLOOR or not (p.ceil_mode or p.HasField("round_mode"))
        outputs = int(np.floor(steps) if floors else np.ceil(steps)) + 1
        if padded and (outputs - 1) * stride >= size + pad:
            outputs -= 1
        starts = [o * stride - pad for o in range(outputs)]
        spans.append([(max(a, 0), min(a + kernel, size), min(a + kernel, size + pad) - a) for a in starts])
    return spans


def pooled(options, f):
    """f(window (N, C, h, w), its size within the padded image, its first row, its first column) at every output."""

    def formula(x):
        rows, columns = windows(options, *x.shape[2:])
        return np.array([[f(x[:, :, a:b, c:d], n * m, a, c) for c, d, m in columns] for a, b, n in rows]).transpose(
            2, 3, 0, 1
        )

    return formula


def bins(height, f):
    """Every level by its definition: windows of ⌈size / bins⌉, padded evenly around the image."""

    def formula(x):
        parts = []
        for level in range(height):
            count = 2**level
            sizes = [-(-n // count) for n in x.shape[2:]]
            pads = [(s * count - n + 1) // 2 for s, n in zip(sizes, x.shape[2:], strict=True)]
            level_top = np.zeros((*x.shape[:2], count, count))
            for i in range(count):
                for j in range(count):
                    low = [i * sizes[0] - pads[0], j * sizes[1] - pads[1]]
                    rows = slice(max(low[0], 0), low[0] + sizes[0])
                    columns = slice(max(low[1], 0), low[1] + sizes[1])
                    ends = [min(a + s, n + p) - a for a, s, n, p in zip(low, sizes, x.shape[2:], pads, strict=True)]
                    level_top[:, :, i, j] = f(x[:, :, rows, columns], ends[0] * ends[1])
            parts.append(level_top.reshape(len(x), -1))
        return parts[0].reshape(*x.shape[:2], 1, 1) if height == 1 else np.concatenate(parts, 1)

    return formula


def maximum(window, size, *place):
    return window.max((2, 3), initial=-np.finfo(np.float32).max)


def average(window, size, *place):
    return window.sum((2, 3)) / size


def weighted(window, size, *place):
    total = window.sum((2, 3))
    return np.where(total > 0, (window**2).sum((2, 3)) / np.where(total > 0, total, 1), 0)


GEOMETRY = {
    "3, stride 2": ("kernel_size: 3 stride: 2", (2, 3, 9, 8)),
    "2, stride 2": ("kernel_size: 2 stride: 2", (2, 2, 7, 6)),
    "stride 1": ("kernel_size: 3", (1, 2, 5, 6)),
    "same size": ("kernel_size: 3 pad: 1", (1, 2, 5, 4)),
    "padded": ("kernel_size: 3 stride: 2 pad: 1", (1, 2, 7, 8)),
    "padded, last window clipped": ("kernel_size: 2 stride: 3 pad: 1", (1, 2, 5, 6)),
    "padded, last window dropped": ("kernel_size: 2 stride: 2 pad: 1", (1, 2, 5, 5)),
    "pad along one axis drops along both": ("kernel_size: 2 stride: 3 pad_h: 1 pad_w: 0", (1, 2, 6, 6)),
    "FLOOR": ("kernel_size: 2 stride: 2 round_mode: FLOOR", (1, 2, 7, 6)),
    "FLOOR, padded": ("kernel_size: 3 stride: 2 pad: 1 round_mode: FLOOR", (1, 2, 6, 7)),
    "_h and _w": ("kernel_h: 2 kernel_w: 4 stride_h: 1 stride_w: 3 pad_h: 1 pad_w: 2", (1, 2, 5, 7)),
    "stride longer than the kernel": ("kernel_size: 2 stride: 4", (1, 2, 6, 10)),
    "kernel larger than the image": ("kernel_size: 5 stride: 3", (1, 2, 3, 4)),
    "whole plane": ("kernel_size: 4", (2, 2, 4, 4)),
    "global": ("global_pooling: true", (2, 3, 4, 5)),
    "size 1": ("kernel_size: 1", (2, 3, 1, 1)),
    "wide": ("kernel_h: 1 kernel_w: 9", (1, 2, 2, 10)),
    "too wide for taps": ("kernel_h: 1 kernel_w: 70 stride_h: 1 stride_w: 7 pad_h: 0 pad_w: 3", (1, 2, 2, 90)),
    "too wide for taps, whole": ("global_pooling: true", (2, 2, 3, 130)),
    "strides too long for taps": ("kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 65", (1, 2, 2, 133)),
    "ceil_mode false": ("kernel_size: 3 stride: 2 ceil_mode: false", (1, 2, 6, 8)),
    "CEIL beside ceil_mode false": ("kernel_size: 3 stride: 2 ceil_mode: false round_mode: CEIL", (1, 2, 6, 8)),
    "empty batch": ("kernel_size: 2 stride: 2", (0, 2, 4, 4)),
}
CASES = [
    Case(f"{pool} {name}", f'type: "Pooling" pooling_param {{ pool: {pool} {options} }}', {"x": shape}, formula)
    for name, (options, shape) in GEOMETRY.items()
    for pool, formula in (("MAX", pooled(options, maximum)), ("AVE", pooled(options, average)))
    if shape[0]
] + [
    Case(
        f"STOCHASTIC in TEST {name}",
        f'type: "Pooling" pooling_param {{ pool: STOCHASTIC {GEOMETRY[name][0]} }}',
        {"x": np.abs(np.random.default_rng(0).standard_normal(GEOMETRY[name][1])) + 0.1},
        pooled(GEOMETRY[name][0], weighted),
        phase=pb.TEST,
    )
    for name in ("3, stride 2", "stride 1", "FLOOR", "global")
]

SPP = [
    Case("SPP of MAX", 'type: "SPP" spp_param { pyramid_height: 3 }', {"x": (2, 3, 10, 9)}, bins(3, maximum)),
    Case("SPP of AVE", 'type: "SPP" spp_param { pyramid_height: 3 pool: AVE }', {"x": (2, 2, 10, 9)}, bins(3, average)),
    Case(
        "SPP of even bins",
        'type: "SPP" spp_param { pyramid_height: 3 pool: AVE }',
        {"x": (1, 2, 8, 8)},
        bins(3, average),
    ),
    Case("SPP of one level", 'type: "SPP" spp_param { pyramid_height: 1 }', {"x": (2, 3, 5, 4)}, bins(1, maximum)),
    Case(
        "SPP of STOCHASTIC",
        'type: "SPP" spp_param { pyramid_height: 2 pool: STOCHASTIC }',
        {"x": np.random.default_rng(0).uniform(0.1, 1, (2, 2, 4, 6))},
        bins(2, weighted),
        phase=pb.TEST,
    ),
]


def volumes(kernel, stride, pad, *, average=False):
    """What 3D-Caffe makes of (N, C, D, H, W): as Caffe of planes, with one axis more."""

    def formula(x):
        sizes = list(zip(x.shape[2:], kernel, stride, pad, strict=True))
        n = [-(-(size + 2 * p - k) // s) + 1 for size, k, s, p in sizes]
        if any(pad):
            n = [o - 1 if (o - 1) * s >= size + p else o for o, (size, _, s, p) in zip(n, sizes, strict=True)]
        y = np.zeros((*x.shape[:2], *n))
        for at in np.ndindex(*n):
            starts = [o * s - p for o, (_, _, s, p) in zip(at, sizes, strict=True)]
            ends = [min(a + k, size + p) for a, (size, k, _, p) in zip(starts, sizes, strict=True)]
            window = x[:, :, *(slice(max(a, 0), b) for a, b in zip(starts, ends, strict=True))].reshape(
                *x.shape[:2], -1
            )
            divisor = np.prod([b - a for a, b in zip(starts, ends, strict=True)])
            y[:, :, *at] = window.sum(-1) / divisor if average else window.max(-1)
        return y

    return formula


ND = 'type: "PoolingND" pooling_nd_param {{ {} }}'.format
CUBES = 'type: "Pooling" pooling_param {{ {} }}'.format
VOLUME = {"x": (2, 2, 5, 4, 6)}
EACH = "kernel_size: 2 kernel_size: 3 kernel_size: 4 stride: 1 stride: 2 stride: 3 pad: 1 pad: 0 pad: 2"
EACH_AXIS = (2, 3, 4), (1, 2, 3), (1, 0, 2)
VOLUMES = [
    Case("MAX of cubes", CUBES("kernel_size: 2 stride: 2"), VOLUME, volumes([2] * 3, [2] * 3, [0] * 3)),
    Case(
        "AVE of cubes",
        CUBES("kernel_size: 3 stride: 2 pad: 1 pool: AVE"),
        VOLUME,
        volumes([3] * 3, [2] * 3, [1] * 3, average=True),
    ),
    Case("ND", ND("kernel_size: 2 stride: 2"), VOLUME, volumes([2] * 3, [2] * 3, [0] * 3)),
    Case("ND, MAX of boxes", ND(EACH), VOLUME, volumes(*EACH_AXIS)),
    Case("ND, AVE of boxes", ND(EACH + " pool: AVE"), VOLUME, volumes(*EACH_AXIS, average=True)),
    Case(
        "ND, the whole volume", ND("global_pooling: true pool: AVE"), VOLUME, lambda x: x.mean((2, 3, 4), keepdims=True)
    ),
    Case(
        "ND of planes",
        ND("kernel_h: 2 kernel_w: 3 stride: 2"),
        {"x": (1, 2, 5, 6)},
        pooled("kernel_h: 2 kernel_w: 3 stride: 2", maximum),
    ),
]


@pytest.mark.parametrize("case", CASES + SPP + VOLUMES, ids=str)
def test_tops_equal_the_windows(case):
    check_formula(case)


def _is_unlike_ties(case):
    """Not MAX pooling, whose gradient test_ties… compares for each geometry."""
    return not case.name.startswith("MAX ") or case is CASES[0]


@pytest.mark.parametrize("case", slow_unless(_is_unlike_ties, CASES + SPP + VOLUMES), ids=str)
def test_gradient_is_the_numerical_one(case):
    check_gradient(case)


@pytest.mark.parametrize("case", [CASES[0], CASES[1], CASES[-1], SPP[0], VOLUMES[3]], ids=str)
def test_step_lowers_for_cuda(case):
    check_export(case)


def run(options, x, tops=1, phase=pb.TRAIN):
    """The tops, and the gradient of x for a first top's gradient of ones."""
    case = Case("run", f'type: "Pooling" pooling_param {{ {options} }}', {"x": x}, tops=tops, phase=phase)

    def total(x):
        y = case.run([], {"x": x})
        return y[0].sum(), y

    dx, y = quickly_compiled(case.net, jax.grad(total, has_aux=True))(x.astype(np.float32))
    return [np.asarray(top) for top in y], np.asarray(dx)


@pytest.mark.parametrize(("options", "shape"), [(options, shape) for options, shape in GEOMETRY.values() if shape[0]])
def test_ties_give_the_gradient_and_the_mask_to_the_first_maximum_in_scan_order(options, shape):
    x = np.random.default_rng(1).integers(0, 3, (2, 3, *shape[2:])).astype(np.float32)

    def first(window, size, row, column):
        flat = window.reshape(*window.shape[:2], -1)
        if not flat.shape[-1]:
            return np.full(flat.shape[:2], -1)
        i, j = np.unravel_index(flat.argmax(-1), window.shape[2:])
        return (row + i) * x.shape[3] + column + j

    want_mask = pooled(options, first)(x)
    want = np.zeros((2, 3, x.shape[2] * x.shape[3]))
    for (n, c), hits in {(n, c): Counter(want_mask[n, c].ravel()) for n in range(2) for c in range(3)}.items():
        for place, times in hits.items():
            want[n, c, int(place)] += times if place >= 0 else 0
    (_, mask), dx = run(options, x, tops=2)
    np.testing.assert_array_equal(mask, want_mask)
    np.testing.assert_array_equal(dx, want.reshape(x.shape))


def test_empty_batch_gives_empty_tops():
    (y, mask), dx = run("kernel_size: 2 stride: 2", np.zeros((0, 2, 4, 4)), tops=2)
    assert y.shape == mask.shape == (0, 2, 2, 2)
    assert dx.shape == (0, 2, 4, 4)


def test_a_window_behind_the_image_holds_caffes_lowest_value():
    (y,), dx = run("kernel_size: 1 stride: 2", np.ones((1, 1, 4, 4)))
    assert y.shape == (1, 1, 3, 3)
    assert y[0, 0, 2, 2] == -np.finfo(np.float32).max
    assert dx.sum() == 4


def test_stochastic_draws_in_proportion_to_the_values():
    x = np.tile(np.array([[1.0, 0.0], [2.0, 5.0]]), (1, 1, 60, 60))
    (y,), dx = run("pool: STOCHASTIC kernel_size: 2 stride: 2", x)
    counts = Counter(y.ravel())
    assert set(counts) == {1, 2, 5}
    for value in (1, 2, 5):
        assert counts[value] / y.size == pytest.approx(value / 8, abs=0.03)
    np.testing.assert_array_equal((dx * x).sum(), y.sum())
    assert dx.sum() == y.size


def test_stochastic_of_zeros_takes_the_first():
    (y,), dx = run("pool: STOCHASTIC kernel_size: 2 stride: 2", np.zeros((1, 1, 4, 4)))
    assert not y.any()
    np.testing.assert_array_equal(dx[0, 0], np.tile([[1, 0], [0, 0]], (2, 2)))
    (y,), _ = run("pool: STOCHASTIC kernel_size: 2 stride: 2", np.zeros((1, 1, 4, 4)), phase=pb.TEST)
    assert not y.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "it has no kernel_size; give kernel_size, or kernel_h and kernel_w"),
        ("kernel_h: 2", "it has kernel_h; give kernel_size"),
        ("kernel_size: 2 kernel_h: 2 kernel_w: 2", "it has kernel_size, kernel_h, kernel_w"),
        ("global_pooling: true kernel_size: 2", "leave kernel_size out"),
        ("global_pooling: true stride: 2", "leave pad and stride out"),
        ("global_pooling: true pad: 1", "leave pad and stride out"),
        ("kernel_size: 0", "kernel 0×0 and stride 1×1 must be 1 or more"),
        ("kernel_size: 2 stride: 0", "kernel 2×2 and stride 0×0 must be 1 or more"),
        ("kernel_size: 2 stride: 1 stride_h: 1 stride_w: 1", "stride_h stands alone or with stride"),
        ("kernel_size: 2 stride_h: 1", "stride_h stands alone or with stride"),
        ("kernel_size: 2 pad_w: 1", "pad_w stands alone or with pad"),
        ("kernel_size: 2 pad: 2", "pad 2×2 must be smaller than the kernel 2×2"),
        ("kernel_size: 2 pad: 1 pool: STOCHASTIC", "STOCHASTIC pooling takes no pad"),
        ("kernel_size: 7 stride: 2", 'a 7×7 kernel does not fit its bottom "x" of 5×4 with pad 0'),
    ],
)
def test_wrong_configuration_is_refused(options, message):
    check_refused(f'type: "Pooling" pooling_param {{ {options} }}', {"x": (1, 2, 5, 4)}, message)


def test_four_axes_are_asked_for():
    check_refused('type: "Pooling" pooling_param { kernel_size: 2 }', {"x": (2, 5, 4)}, "takes 4 axes")


def test_ties_of_volumes_give_the_gradient_to_the_first_maximum_in_scan_order():
    (dx,) = slopes(ND("kernel_size: 2 stride: 2"), x=np.array([0, 1, 1, 0, 0, 1, 1, 1]).reshape(1, 1, 2, 2, 2))
    np.testing.assert_array_equal(dx.ravel(), [0, 1, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            ND("kernel_size: 2 kernel_size: 2"),
            (1, 2, 5, 4, 6),
            "2 values of kernel_size for 3 spatial axes; give one for",
        ),
        (ND("kernel_h: 2 kernel_w: 2"), (1, 2, 5, 4, 6), "kernel_h and kernel_w are for 2 spatial axes, here are 3"),
        (ND(""), (1, 2, 5, 4, 6), "it has no kernel_size"),
        (ND("kernel_size: 2 axis: 2"), (1, 2, 5, 4, 6), "axis is 2; the channels must lie along axis 1"),
        (ND("kernel_size: 2"), (2, 5, 4), "takes 4 axes"),
        (ND("kernel_size: 2 pool: STOCHASTIC"), (1, 2, 5, 4, 6), "volumes are pooled by their maximum or average"),
        (CUBES("kernel_h: 2 kernel_w: 2"), (1, 2, 5, 4, 6), "kernel_h and kernel_w are for 2 spatial axes, here are 3"),
        (CUBES("kernel_size: 2 pad_t: 1"), (1, 2, 5, 4, 6), "pad_b are for pooling over rows and columns; give pad"),
        (CUBES("kernel_size: 6 stride: 3"), (1, 2, 5, 4, 2), "a 6×6×6 kernel does not fit"),
    ],
)
def test_what_does_not_fit_volumes_is_refused(layer, shape, message):
    check_refused(layer, {"x": shape}, message)


def test_volumes_have_no_mask():
    check_refused(CUBES("kernel_size: 2"), VOLUME, "pooling of volumes makes one top", tops=2)


def test_only_maxima_have_a_mask():
    check_refused(
        'type: "Pooling" pooling_param { pool: AVE kernel_size: 2 }', {"x": (1, 2, 5, 4)}, "only pool: MAX", tops=2
    )


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ("", (1, 2, 4, 4), "needs pyramid_height of 1 or more"),
        ("pyramid_height: 3", (1, 2, 5, 8), "cannot be pooled into 4 × 4 bins: .* Give pyramid_height: 2"),
        ("pyramid_height: 2", (2, 4, 4), "takes 4 axes"),
        ("pyramid_height: 2 pool: STOCHASTIC", (1, 2, 5, 4), "STOCHASTIC pooling takes no pad"),
    ],
)
def test_wrong_pyramid_is_refused(options, shape, message):
    check_refused(f'type: "SPP" spp_param {{ {options} }}', {"x": shape}, message)


SIDES = "kernel_size: 3 stride: 2 pad_t: 1 pad_b: 2 pad_r: 1 ceil_mode: false"


def of_sides(x, reduce):
    """The windows of SIDES over x (1, 1, 4, 5), with nan for what is pad."""
    wide = np.pad(x[0, 0], ((1, 2), (0, 1)), constant_values=np.nan)
    return np.array([[reduce(wide[i : i + 3, j : j + 3]) for j in (0, 2)] for i in (0, 2, 4)])[None, None]


@pytest.mark.parametrize(
    ("method", "reduce"),
    [("MAX", np.nanmax), ("AVE", lambda w: np.nansum(w) / 9), ("AVE_EXC_PAD", np.nanmean)],
)
def test_each_side_has_a_pad_of_its_own(method, reduce):
    case = Case(method, f'type: "Pooling" pooling_param {{ pool: {method} {SIDES} }}', {"x": (1, 1, 4, 5)})
    assert_close(case.net.compile(case.run)([], case.values()[1])[0], of_sides(case.values()[1]["x"], reduce))


def test_an_average_within_the_image_leaves_out_pads():
    layer = 'type: "Pooling" pooling_param { pool: AVE_EXC_PAD kernel_size: 3 pad: 1 }'
    case = Case("within", layer, {"x": (1, 1, 2, 2)})
    x = case.values()[1]["x"]
    assert_close(case.net.compile(case.run)([], {"x": x})[0], np.full((1, 1, 2, 2), x.mean()))


def test_pads_of_sides_and_of_all_do_not_mix():
    check_refused(
        'type: "Pooling" pooling_param { kernel_size: 3 pad: 1 pad_l: 1 }', {"x": (1, 1, 4, 5)}, "give one or"
    )
