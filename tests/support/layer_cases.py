"""The framework of the layers' tests: a table of cases, and one function for each behaviour that every case must show.

    CASES = [Case("power", 'type: "Power" power_param { power: 3 }', {"x": (2, 5)}, lambda x: x**3)]

    class TestCases(Cases):
        cases = CASES

gives three tests a case; check_refused takes a configuration that must not pass.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.errors import LayerError
from engine.net.jitted import compiler_options, for_platform
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from support import gpu_program

GOLDEN = Path(__file__).parents[1] / "engine" / "layers" / "golden"
RTOL, ATOL = 2e-4, 1e-5
"""Relative to the largest value: Caffe adds up in another order."""

Bottoms = Mapping[str, tuple[int, ...] | np.ndarray]


@dataclass(frozen=True)
class Case:
    """One configuration of one layer.

    layer: the fields of its LayerParameter besides name, bottom and top. bottoms: by name, arrays, or shapes that are
    drawn from N(0, 1). formula: the top, or a tuple of tops, in numpy, from the bottoms and then the parameters; None
    where only recorded values tell. Parameters are drawn from N(0, 1) too, state from its absolute value.
    """

    name: str
    layer: str
    bottoms: Bottoms
    formula: Callable[..., Any] | None = None
    tops: int = 1
    phase: int = pb.TRAIN
    net: Net = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "net", net_of(self.layer, self.bottoms, self.tops, self.phase))

    def __str__(self) -> str:
        return self.name

    def values(self, dtype: type = np.float32) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
        """Random parameters and bottoms, always the same for the same case name."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        params = [rng.standard_normal(p.shape) for p in self.net.params]
        params = [v if p.decl.learned else np.abs(v) for p, v in zip(self.net.params, params, strict=True)]
        bottoms = {name: b if isinstance(b, np.ndarray) else rng.standard_normal(b) for name, b in self.bottoms.items()}
        return [v.astype(dtype) for v in params], {name: v.astype(dtype) for name, v in bottoms.items()}

    def differentiable(self) -> list[str]:
        """The bottoms whose gradient Caffe computes."""
        needs = self.net.needs_backward.bottoms[self.net.layer_names.index("layer")]
        return [name for name, need in zip(self.bottoms, needs, strict=True) if need]

    def run(self, params: Sequence[Any], bottoms: Mapping[str, Any]) -> list[jax.Array]:
        """The tops."""
        values = self.net.forward(params, bottoms, jax.random.key(1), keep=True).values
        return [values[v] for v in self.net.tops[self.net.layer_names.index("layer")]]


def net_of(layer: str, bottoms: Bottoms, tops: int = 1, phase: int = pb.TRAIN) -> Net:
    """A net of Input layers and one layer "layer" under test; its tops are "y0", "y1", …"""
    lines = ["force_backward: true"]
    for name, b in bottoms.items():
        dims = " ".join(f"dim: {d}" for d in (b.shape if isinstance(b, np.ndarray) else b))
        lines.append(f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}')
    joined = " ".join([f'bottom: "{name}"' for name in bottoms] + [f'top: "y{j}"' for j in range(tops)])
    lines.append(f'layer {{ name: "layer" {joined} {layer} }}')
    return Net.from_param(text.parse("\n".join(lines), pb.NetParameter), phase)


def assert_close(got: Any, want: Any, what: str = "") -> None:
    """Asserts that `got` is within RTOL of the largest value of `want`."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, not {want.shape}"
    limit = ATOL + RTOL * float(np.max(np.abs(want), initial=0))
    np.testing.assert_allclose(got, want, rtol=0, atol=limit, err_msg=what)


def check_formula(case: Case) -> None:
    """The tops have the formula's values, the shapes that setup returned, and the bottoms' type."""
    assert case.formula is not None
    params, bottoms = case.values()
    want = case.formula(*(v.astype(np.float64) for v in (*bottoms.values(), *params)))
    got = quickly_compiled(case.net, case.run)(params, bottoms)
    promised = [case.net.blob_shapes[f"y{j}"] for j in range(case.tops)]
    for j, (top, wanted) in enumerate(zip(got, want if isinstance(want, tuple) else (want,), strict=True)):
        assert top.dtype == jnp.float32
        assert top.shape == promised[j]
        assert_close(top, wanted, f"top {j}")


def quickly_compiled(net: Net, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, with the forms of operations that are meant for this machine, but little optimized: in a third of the
    time. What XLA's optimizations do is tested by the recorded cases, and where solvers train."""
    if net.dynamic:
        return function
    return jax.jit(for_platform(function), compiler_options=compiler_options(quick=True))


def check_gradient(case: Case, rtol: float = 1e-5) -> None:
    """The gradient of a random sum of the tops along a random direction is the numerical one, in float64.

    All bottoms and parameters that have a gradient vary at once. If none has, the gradient of the bottoms must be 0.
    """
    with jax.enable_x64(True):
        params, bottoms = case.values(np.float64)
        rng = np.random.default_rng(1)
        weights = [rng.standard_normal(case.net.blob_shapes[f"y{j}"]) for j in range(case.tops)]

        @partial(quickly_compiled, case.net)
        @jax.value_and_grad
        def total(some: Any) -> jax.Array:
            tops = case.run([some[0].get(i, v) for i, v in enumerate(params)], {**bottoms, **some[1]})
            return sum((jnp.vdot(w, top) for w, top in zip(weights, tops, strict=True)), jnp.zeros(()))

        learned = {i: v for i, v in enumerate(params) if case.net.params[i].decl.learned}
        here = (learned, {name: bottoms[name] for name in case.differentiable()})
        if not any(here):
            assert not any(map(np.any, jax.tree.leaves(total((learned, bottoms))[1])))
            return
        direction = jax.tree.map(lambda v: rng.standard_normal(v.shape), here)
        slope = sum(map(np.vdot, jax.tree.leaves(total(here)[1]), jax.tree.leaves(direction)))

        def ahead(step: float) -> jax.Array:
            return total(jax.tree.map(lambda v, d: v + step * d, here, direction))[0]

        np.testing.assert_allclose(slope, (ahead(1e-6) - ahead(-1e-6)) / 2e-6, rtol=rtol, atol=1e-7)


ADD_UP = {
    "AdaptiveBiasChannel": "to one row at a time",
    "DeformableConvolution": "to where its values say that its samples lie",
    "EvalDetection": "counts, which are the same in any order",
    "FlowWarp": "as DeformableConvolution",
    "SegAccuracy": "as EvalDetection",
    "SpatialTransformer": "as DeformableConvolution",
    "Warp": "as DeformableConvolution",
}
"""Layers that use scatter-adds on a GPU, and what they add up."""


def check_export(case: Case) -> None:
    """A training step (tops, gradients) lowers for CUDA, on any machine, to a program that is fast and exact there."""
    params, bottoms = case.values()

    def step(some: tuple[list[Any], dict[str, Any]]) -> jax.Array:
        return sum((jnp.sum(top) for top in case.run(some[0], {**bottoms, **some[1]})), jnp.zeros(()))

    differentiable = {name: bottoms[name] for name in case.differentiable()}
    program = gpu_program.lowered(jax.value_and_grad(step), (params, differentiable))
    assert not gpu_program.faults(program)
    kind = _kind(case)
    assert kind in ADD_UP or not gpu_program.unordered_sums(program), f"{kind} adds up by a scatter"


def slopes(layer: str, **bottoms: Any) -> list[np.ndarray]:
    """The gradient of the sum of the tops with respect to each bottom that has one, with parameters as filled."""
    case = Case("slopes", layer, {name: np.asarray(b, np.float32) for name, b in bottoms.items()})
    values = case.values()[1]

    def total(some: dict[str, Any]) -> jax.Array:
        tops = case.run(case.net.init(seed=0), {**values, **some})
        return sum((jnp.sum(top) for top in tops), jnp.zeros(()))

    gradients = quickly_compiled(case.net, jax.grad(total))({name: values[name] for name in case.differentiable()})
    return [np.asarray(gradients[name]) for name in case.differentiable()]


def check_refused(layer: str, bottoms: Bottoms, message: str, tops: int = 1, phase: int = pb.TRAIN) -> None:
    """Building the net raises a LayerError that matches `message`, a regular expression."""
    with pytest.raises(LayerError, match=message):
        net_of(layer, bottoms, tops, phase)


def check_recorded(name: str) -> None:
    """Tops, state and gradients are those that BVLC Caffe 1.0 recorded in golden/NAME.npz."""
    record = np.load(GOLDEN / f"{name}.npz")
    net = Net.from_param(text.parse(str(record["prototxt"]), pb.NetParameter), pb.Phase.Value(str(record["phase"])))

    def part(kind: str) -> dict[str, np.ndarray]:
        return {key.split("/", 1)[1]: record[key] for key in record.files if key.startswith(f"{kind}/")}

    def number(key: str) -> int:
        layer, index = key.rsplit("/", 1)
        return net.param_ids[net.layer_names.index(layer)][int(index)]

    given: dict[str, Any] = part("in")

    def run(params: list[Any], bottoms: dict[str, Any]) -> tuple[jax.Array, Any]:
        forward = net.forward(params, {**given, **bottoms}, jax.random.key(1), keep=True)
        blobs = {v.blob: top for v, top in forward.values.items()}
        pulled = sum((jnp.vdot(diff, blobs[blob]) for blob, diff in part("top_diff").items()), forward.loss)
        return pulled, (blobs, forward.updates)

    values = list(net.init(seed=0))
    for key, value in part("param").items():
        assert values[number(key)].shape == value.shape
        values[number(key)] = value
    rows = zip(net.graph.nodes, net.needs_backward.layers, net.needs_backward.bottoms, strict=True)
    reached = {
        v.blob for node, runs, needs in rows if runs for v, need in zip(node.bottoms, needs, strict=True) if need
    }
    wanted = {blob: given[blob] for blob in part("in_diff")}
    (param_diffs, in_diffs), (blobs, updates) = net.compile(jax.grad(run, (0, 1), has_aux=True))(values, wanted)
    for blob, want in part("out").items():
        assert_close(blobs[blob], want, f"top {blob}")
    for key, want in part("param_after").items():
        assert_close(updates[number(key)], want, f"parameter {key} afterwards")
    for blob, want in part("in_diff").items():
        assert_close(in_diffs[blob] if blob in reached else 0 * want, want, f"gradient of {blob}")
    for key, want in part("param_diff").items():
        runs = net.needs_backward.layers[net.layer_names.index(key.rsplit("/", 1)[0])]
        assert_close(param_diffs[number(key)] if runs else 0 * want, want, f"gradient of parameter {key}")


def slow_unless(chosen: Callable[[Case], bool], cases: Sequence[Case]) -> list[Any]:
    """The cases, of which those that are not `chosen` are marked slow: others take the same path."""
    return [pytest.param(case, marks=[] if chosen(case) else [pytest.mark.slow]) for case in cases]


def _kind(case: Case) -> str:
    """The type of the layer under test."""
    return str(case.net.graph.nodes[case.net.layer_names.index("layer")].config.type)


class Cases:
    """What every case must satisfy: its formula, the numerical gradient, and a step that lowers for CUDA."""

    cases: ClassVar[Sequence[Case]]

    def pytest_generate_tests(self, metafunc):
        cases = self.cases
        if metafunc.function.__name__ == "test_step_lowers_for_cuda":
            first = {_kind(case): case for case in reversed(cases)}
            cases = slow_unless(lambda case: first[_kind(case)] is case, cases)
        metafunc.parametrize("case", cases, ids=str)

    def test_tops_equal_the_formula(self, case):
        check_formula(case)

    def test_gradient_is_the_numerical_one(self, case):
        check_gradient(case)

    def test_step_lowers_for_cuda(self, case):
        check_export(case)
