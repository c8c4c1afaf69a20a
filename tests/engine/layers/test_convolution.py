"""Convolution, Deconvolution and Im2col, against sums and columns written out element by element."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.layer_cases import (
    Case,
    assert_close,
    check_export,
    check_formula,
    check_gradient,
    check_refused,
    net_of,
    slow_unless,
)

from engine.ops.convolution import convolve
from engine.ops.window import Window
from engine.proto import caffe_pb2 as pb
from engine.proto import text


def per_axis(values, axes, default):
    given = list(values) or [default]
    return given * axes if len(given) == 1 else given


def geometry(options, axes):
    """(kernel, stride, pad, dilation), one entry an axis."""
    p = text.parse(options, pb.ConvolutionParameter)
    kernel = [p.kernel_h, p.kernel_w] if p.HasField("kernel_h") else per_axis(p.kernel_size, axes, 1)
    stride = [p.stride_h, p.stride_w] if p.HasField("stride_h") else per_axis(p.stride, axes, 1)
    pad = [p.pad_h, p.pad_w] if p.HasField("pad_h") or p.HasField("pad_w") else per_axis(p.pad, axes, 0)
    return kernel, stride, pad, per_axis(p.dilation, axes, 1), p


def positions(inputs, kernel, stride, pad, dilation):
    """How many a kernel takes along each axis."""
    return [
        int((n + 2 * q - (d * (k - 1) + 1)) / s) + 1
        for n, q, d, k, s in zip(inputs, pad, dilation, kernel, stride, strict=True)
    ]


def meetings(outputs, inputs, kernel, stride, pad, dilation):
    """Every (output, tap, input) position that a kernel brings together."""
    for o in product(*map(range, outputs)):
        for k in product(*map(range, kernel)):
            i = tuple(a * s - p + b * d for a, s, p, b, d in zip(o, stride, pad, k, dilation, strict=True))
            if all(0 <= a < n for a, n in zip(i, inputs, strict=True)):
                yield o, k, i


def convolution(options):
    def formula(*values):
        axes = values[0].ndim - 2
        kernel, stride, pad, dilation, p = geometry(options, axes)
        *xs, w = values[: len(values) - p.bias_term]
        inputs = xs[0].shape[2:]
        outputs = positions(inputs, kernel, stride, pad, dilation)
        ys = []
        for x in xs:
            y = np.zeros((x.shape[0], p.num_output, *outputs))
            for o, k, i in meetings(outputs, inputs, kernel, stride, pad, dilation):
                for m in range(p.num_output):
                    group = m // (p.num_output // p.group)
                    for c in range(w.shape[1]):
                        y[:, m, *o] += w[m, c, *k] * x[:, group * w.shape[1] + c, *i]
            ys.append(y + values[-1].reshape(-1, *[1] * axes) if p.bias_term else y)
        return tuple(ys)

    return formula


def deconvolution(options):
    def formula(*values):
        axes = values[0].ndim - 2
        kernel, stride, pad, dilation, p = geometry(options, axes)
        *xs, w = values[: len(values) - p.bias_term]
        outputs = xs[0].shape[2:]
        inputs = [
            s * (n - 1) + d * (k - 1) + 1 - 2 * q
            for n, s, d, k, q in zip(outputs, stride, dilation, kernel, pad, strict=True)
        ]
        ys = []
        for x in xs:
            y = np.zeros((x.shape[0], p.num_output, *inputs))
            for o, k, i in meetings(outputs, inputs, kernel, stride, pad, dilation):
                for c in range(x.shape[1]):
                    group = c // (x.shape[1] // p.group)
                    for m in range(w.shape[1]):
                        y[:, group * w.shape[1] + m, *i] += w[c, m, *k] * x[:, c, *o]
            ys.append(y + values[-1].reshape(-1, *[1] * axes) if p.bias_term else y)
        return tuple(ys)

    return formula


def im2col(options):
    def formula(x):
        kernel, stride, pad, dilation, _ = geometry(options, x.ndim - 2)
        inputs = x.shape[2:]
        outputs = positions(inputs, kernel, stride, pad, dilation)
        y = np.zeros((*x.shape[:2], int(np.prod(kernel)), *outputs))
        for o, k, i in meetings(outputs, inputs, kernel, stride, pad, dilation):
            y[:, :, np.ravel_multi_index(k, kernel), *o] = x[:, :, *i]
        return y.reshape(len(x), -1, *outputs)

    return formula


OPTIONS = {
    "kernel 3": ("num_output: 3 kernel_size: 3", (2, 2, 5, 6)),
    "without bias": ("num_output: 3 kernel_size: 3 bias_term: false", (2, 2, 5, 6)),
    "stride and pad": ("num_output: 3 kernel_size: 3 stride: 2 pad: 1", (2, 2, 6, 5)),
    "stride leaves a rest": ("num_output: 2 kernel_size: 2 stride: 3", (1, 2, 7, 6)),
    "kernel larger than its bottom by less than a stride": ("num_output: 2 kernel_size: 3 stride: 2", (1, 2, 2, 6)),
    "pad wider than the kernel": ("num_output: 2 kernel_size: 2 pad: 3 stride: 2", (1, 2, 4, 3)),
    "_h and _w": ("num_output: 2 kernel_h: 2 kernel_w: 4 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 2", (1, 2, 5, 4)),
    "only pad_h": ("num_output: 2 kernel_h: 1 kernel_w: 2 pad_h: 1", (1, 2, 3, 4)),
    "one value an axis": (
        "num_output: 2 kernel_size: [2, 3] stride: [1, 2] pad: [0, 1] dilation: [2, 1]",
        (1, 2, 5, 6),
    ),
    "dilation": ("num_output: 2 kernel_size: 3 dilation: 2 pad: 2", (1, 2, 6, 5)),
    "dilation and stride": ("num_output: 2 kernel_size: 2 dilation: 3 stride: 2 pad: 1", (1, 2, 6, 5)),
    "2 groups": ("num_output: 4 kernel_size: 3 group: 2 pad: 1", (2, 6, 4, 4)),
    "groups, stride 2": ("num_output: 6 kernel_size: 2 group: 3 stride: 2", (1, 6, 5, 4)),
    "1×1": ("num_output: 3 kernel_size: 1", (2, 4, 3, 5)),
    "1×1, stride 2": ("num_output: 3 kernel_size: 1 stride: 2", (2, 4, 4, 5)),
    "1×1, stride and pad": ("num_output: 3 kernel_size: 1 stride: 2 pad: 1", (2, 2, 4, 5)),
    "1×1, groups": ("num_output: 4 kernel_size: 1 group: 2", (2, 4, 3, 3)),
    "depthwise": ("num_output: 3 kernel_size: 3 group: 3 pad: 1", (2, 3, 5, 4)),
    "depthwise, stride 2": ("num_output: 3 kernel_size: 3 group: 3 stride: 2 pad: 1", (2, 3, 6, 5)),
    "depthwise, 2 outputs a channel": ("num_output: 6 kernel_size: 2 group: 3 stride: 2", (2, 3, 5, 4)),
    "depthwise, dilation": ("num_output: 2 kernel_size: 2 group: 2 dilation: 2 stride: 2 pad: 1", (1, 2, 6, 5)),
    "1 axis": ("num_output: 2 kernel_size: 3 stride: 2 pad: 1", (2, 3, 7)),
    "3 axes": ("num_output: 2 kernel_size: 2 stride: 2 pad: 1", (1, 2, 3, 4, 3)),
    "3 axes, groups": ("num_output: 4 kernel_size: [1, 2, 3] group: 2 pad: [0, 1, 1]", (1, 2, 2, 3, 4)),
    "no axis": ("num_output: 3 kernel_size: 1", (4, 5)),
    "nd columns asked": ("num_output: 2 kernel_size: 3 force_nd_im2col: true", (1, 2, 5, 4)),
    "engine CUDNN": ("num_output: 2 kernel_size: 2 engine: CUDNN", (1, 2, 3, 3)),
    "kernel as large as the input": ("num_output: 3 kernel_size: 4", (2, 2, 4, 4)),
    "size 1": ("num_output: 1 kernel_size: 3 pad: 1", (1, 1, 1, 1)),
    "empty batch": ("num_output: 2 kernel_size: 2 stride: 2", (0, 2, 4, 4)),
}
CASES = [
    Case(f"{kind}, {name}", f'type: "{kind}" convolution_param {{ {options} }}', {"x": shape}, formula(options))
    for kind, formula in (("Convolution", convolution), ("Deconvolution", deconvolution))
    for name, (options, shape) in OPTIONS.items()
    if not (kind == "Deconvolution" and name in ("pad wider than the kernel", "size 1", "1×1, stride and pad"))
] + [
    Case(
        "Convolution of two bottoms",
        'type: "Convolution" convolution_param { num_output: 2 kernel_size: 2 }',
        {"x": (1, 2, 3, 4), "z": (1, 2, 3, 4)},
        convolution("num_output: 2 kernel_size: 2"),
        tops=2,
    ),
    Case(
        "Deconvolution of two bottoms",
        'type: "Deconvolution" convolution_param { num_output: 2 kernel_size: 2 stride: 2 }',
        {"x": (1, 2, 3, 4), "z": (1, 2, 3, 4)},
        deconvolution("num_output: 2 kernel_size: 2 stride: 2"),
        tops=2,
    ),
    Case(
        "Convolution of axis 2",
        'type: "Convolution" convolution_param { num_output: 2 kernel_size: 3 axis: 2 }',
        {"x": (2, 3, 4, 7)},
        lambda x, w, b: convolution("num_output: 2 kernel_size: 3")(x.reshape(6, 4, 7), w, b)[0].reshape(2, 3, 2, 5),
    ),
    Case(
        "Deconvolution of axis -2",
        'type: "Deconvolution" convolution_param { num_output: 2 kernel_size: 3 axis: -2 stride: 2 }',
        {"x": (2, 3, 4, 5)},
        lambda x, w, b: deconvolution("num_output: 2 kernel_size: 3 stride: 2")(x.reshape(6, 4, 5), w, b)[0].reshape(
            2, 3, 2, 11
        ),
    ),
    Case(
        "DepthwiseConvolution",
        'type: "DepthwiseConvolution" convolution_param { num_output: 3 group: 3 kernel_size: 3 stride: 2 pad: 1 }',
        {"x": (2, 3, 6, 5)},
        convolution("num_output: 3 group: 3 kernel_size: 3 stride: 2 pad: 1"),
    ),
    Case(
        "ConvolutionDepthwise",
        'type: "ConvolutionDepthwise" convolution_param { num_output: 7 kernel_h: 3 kernel_w: 1 pad_h: 1 pad_w: 0 }',
        {"x": (2, 3, 6, 5)},
        convolution("num_output: 3 group: 3 kernel_h: 3 kernel_w: 1 pad_h: 1 pad_w: 0"),
    ),
    Case(
        "Convolution of axis 0",
        'type: "Convolution" convolution_param { num_output: 2 kernel_size: 2 axis: 0 }',
        {"x": (3, 4, 5)},
        lambda x, w, b: convolution("num_output: 2 kernel_size: 2")(x[None], w, b)[0][0],
    ),
]

IM2COL = [
    Case(f"Im2col, {name}", f'type: "Im2col" convolution_param {{ {options} }}', {"x": shape}, im2col(options))
    for name, options, shape in [
        ("stride and pad", "kernel_size: 3 stride: 2 pad: 1", (2, 3, 6, 5)),
        ("dilation", "kernel_size: 2 dilation: 2", (1, 2, 5, 4)),
        ("_h and _w", "kernel_h: 1 kernel_w: 3 pad_w: 2", (1, 2, 3, 4)),
        ("1 axis", "kernel_size: 3", (2, 2, 6)),
        ("3 axes", "kernel_size: [1, 2, 2] force_nd_im2col: true", (1, 2, 2, 3, 3)),
    ]
] + [
    Case(
        "Im2col, too wide for taps",
        'type: "Im2col" convolution_param { kernel_h: 1 kernel_w: 66 stride_h: 1 stride_w: 3 }',
        {"x": (1, 2, 2, 80)},
        im2col("kernel_h: 1 kernel_w: 66 stride_h: 1 stride_w: 3"),
    ),
    Case(
        "Im2col of axis 2",
        'type: "Im2col" convolution_param { kernel_size: 2 axis: 2 }',
        {"x": (2, 3, 2, 4)},
        lambda x: im2col("kernel_size: 2")(x.reshape(6, 2, 4)).reshape(2, 3, 4, 3),
    ),
]


@pytest.mark.parametrize("case", CASES + IM2COL, ids=str)
def test_tops_equal_the_sums(case):
    check_formula(case)


def _has_products_of_its_own(case):
    """Not a Deconvolution of the same geometry as a Convolution, whose three products it computes in other roles."""
    return not case.name.startswith("Deconvolution, ") or case.name.endswith(("stride and pad", "2 groups"))


@pytest.mark.parametrize("case", slow_unless(_has_products_of_its_own, CASES + IM2COL), ids=str)
def test_gradient_is_the_numerical_one(case):
    check_gradient(case)


LOWERED = [*CASES[::6], *IM2COL[:1], *(case for case in CASES if "epthwise" in case.name)]


@pytest.mark.parametrize("case", LOWERED, ids=str)
def test_step_lowers_for_cuda(case):
    check_export(case)


@pytest.mark.parametrize(("kind", "shape"), [("Convolution", (6, 2, 3, 3)), ("Deconvolution", (4, 3, 3, 3))])
def test_weights_have_caffes_shape(kind, shape):
    net = net_of(f'type: "{kind}" convolution_param {{ num_output: 6 kernel_size: 3 group: 2 }}', {"x": (1, 4, 5, 5)})
    assert [p.shape for p in net.params] == [shape, (6,)]


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("kernel_size: 3", "needs num_output of 1 or more"),
        ("num_output: 2", "needs kernel_size, or kernel_h and kernel_w"),
        ("num_output: 2 kernel_size: 0", "kernel_size is 0; it must be 1 or more"),
        ("num_output: 2 kernel_h: 3", "kernel_size is 3×0; it must be 1 or more along every axis"),
        ("num_output: 2 kernel_size: 3 kernel_h: 3 kernel_w: 3", "kernel_size and kernel_h, kernel_w are both given"),
        ("num_output: 2 kernel_size: [3, 3, 3]", "3 values of kernel_size for 2 spatial axes"),
        ("num_output: 2 kernel_size: 3 stride: 0", "stride is 0; it must be 1 or more"),
        ("num_output: 2 kernel_size: 3 stride: 1 stride_h: 1 stride_w: 1", "stride and stride_h, stride_w are both"),
        ("num_output: 2 kernel_size: 3 stride_h: 1", "stride is 1×0"),
        ("num_output: 2 kernel_size: 3 pad: 1 pad_h: 1", "pad and pad_h, pad_w are both given"),
        ("num_output: 2 kernel_size: 3 dilation: 0", "dilation is 0"),
        ("num_output: 3 kernel_size: 3 group: 2", "num_output 3 cannot be split into group: 2"),
        ("num_output: 3 kernel_size: 3 group: 3", 'the 4 channels of bottom "x" cannot be split into group: 3'),
        ("num_output: 2 kernel_size: 3 group: 0", "group is 0"),
        ("num_output: 2 kernel_size: 3 axis: 4", r"axis 4 is not one of its bottom of shape \[2, 4, 5, 5\]"),
    ],
)
def test_wrong_configuration_is_refused(kind, options, message):
    check_refused(f'type: "{kind}" convolution_param {{ {options} }}', {"x": (2, 4, 5, 5)}, message)


def test_kernel_larger_than_the_padded_bottom_is_refused_with_what_would_do():
    check_refused(
        'type: "Convolution" convolution_param { num_output: 2 kernel_size: 5 }',
        {"pool1": (1, 2, 3, 3)},
        r'layer "layer" \(Convolution\): a 5×5 kernel does not fit its bottom "pool1" of 3×3 with pad 0\.\n'
        r"Give it pad: 1, or a smaller kernel_size\.",
    )
    check_refused(
        'type: "Convolution" convolution_param { num_output: 2 kernel_size: 3 dilation: 4 }',
        {"x": (1, 2, 8, 8)},
        "a 3×3 kernel with dilation 4 spans 9×9 and does not fit",
    )


def test_deconvolution_that_pads_everything_away_is_refused():
    check_refused(
        'type: "Deconvolution" convolution_param { num_output: 2 kernel_size: 2 pad: 2 }',
        {"x": (1, 2, 3, 3)},
        "pad 2 leaves nothing",
    )


def test_kernel_h_and_kernel_w_are_for_two_axes():
    check_refused(
        'type: "Convolution" convolution_param { num_output: 2 kernel_h: 2 kernel_w: 2 }',
        {"x": (1, 2, 3, 3, 3)},
        "kernel_h and kernel_w are for 2 spatial axes, here are 3",
    )


def test_bottoms_of_different_shapes_are_refused():
    check_refused(
        'type: "Convolution" convolution_param { num_output: 2 kernel_size: 1 }',
        {"x": (1, 2, 3, 3), "z": (1, 2, 4, 3)},
        "they must be the same",
        tops=2,
    )


def test_each_bottom_has_a_top():
    check_refused(
        'type: "Convolution" convolution_param { num_output: 2 kernel_size: 1 }',
        {"x": (1, 2, 3, 3), "z": (1, 2, 3, 3)},
        "it makes 2 tops and 1 are named",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "needs kernel_size"),
        ("kernel_size: 5", "a 5×5 kernel does not fit"),
        ("kernel_size: 1 axis: 3", "has no axis after the channel axis, 3"),
    ],
)
def test_wrong_im2col_is_refused(options, message):
    check_refused(f'type: "Im2col" convolution_param {{ {options} }}', {"x": (1, 2, 4, 4)}, message)


def test_each_side_of_a_convolution_has_a_pad_of_its_own():
    layer = 'type: "Convolution" convolution_param {{ num_output: 2 kernel_size: 3 stride: 2 {} }}'.format
    sides = Case("sides", layer("pad_b: 1 pad_l: 2"), {"x": (1, 2, 4, 4)})
    plain = Case("plain", layer(""), {"x": (1, 2, 5, 6)})
    params, given = sides.values()
    padded = np.pad(given["x"], ((0, 0), (0, 0), (0, 1), (2, 0)))
    (got,), (want,) = sides.run(params, given), plain.run(params, {"x": padded})
    assert got.shape == sides.net.blob_shapes["y0"]
    assert_close(got, want)


def test_pads_below_0_take_off_what_a_convolution_reads():
    layer = 'type: "Convolution" convolution_param {{ num_output: 2 kernel_size: 3 {} }}'.format
    sides = Case("sides", layer("pad_t: -1 pad_b: 1 pad_r: -2"), {"x": (1, 2, 5, 6)})
    plain = Case("plain", layer(""), {"x": (1, 2, 5, 4)})
    params, given = sides.values()
    cut = np.pad(given["x"][:, :, 1:, :-2], ((0, 0), (0, 0), (0, 1), (0, 0)))
    assert_close(sides.run(params, given)[0], plain.run(params, {"x": cut})[0])


def test_each_side_of_a_deconvolution_loses_or_gets_its_own():
    layer = 'type: "Deconvolution" convolution_param {{ num_output: 2 kernel_size: 3 stride: 2 {} }}'.format
    sides = Case("sides", layer("pad_t: 1 pad_l: -2 pad_r: -1"), {"x": (1, 2, 3, 4)})
    plain = Case("plain", layer("bias_term: false"), {"x": (1, 2, 3, 4)})
    params, given = sides.values()
    whole = plain.run(params[:1], given)[0]
    want = np.pad(whole[:, :, 1:], ((0, 0), (0, 0), (0, 0), (2, 1))) + np.reshape(params[1], (1, -1, 1, 1))
    assert want.shape == sides.net.blob_shapes["y0"]
    assert_close(sides.run(params, given)[0], want)


@pytest.mark.parametrize(
    ("kind", "pads", "message"),
    [
        ("Convolution", "pad: 1 pad_l: 1", "give one or the other"),
        ("Convolution", "pad_l: -2", "does not fit"),
        ("Deconvolution", "pad_l: 4 pad_r: 2", "leaves nothing of"),
    ],
)
def test_wrong_pads_of_sides_are_refused(kind, pads, message):
    layer = f'type: "{kind}" convolution_param {{ num_output: 2 kernel_size: 3 {pads} }}'
    check_refused(layer, {"x": (1, 2, 4, 4)}, message)


def test_on_a_cpu_products_of_bfloat16_are_those_of_float32_rounded():
    window = Window((3, 3), (1, 1), (1, 1), (1, 1))
    x, w = (jax.random.normal(jax.random.key(k), (4, 4, 3, 3)).astype("bfloat16") for k in range(2))

    def both(x, w):
        y, pull = jax.vjp(lambda x, w: convolve(x, w, None, window), x, w)
        return y, *pull(jnp.ones_like(y))

    low, full = both(x, w), both(x.astype("float32"), w.astype("float32"))
    for got, want in zip(low, full, strict=True):
        assert (got == want.astype("bfloat16")).all()
