"""How much of the device's memory an iteration takes, as XLA plans it before anything runs."""

from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import numpy as np

from engine import log
from engine.devices.run_faults import LESS
from engine.errors import NetError
from engine.host import memory
from engine.net.jitted import compiler_options, jitted
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.solver import step, updates
from engine.solver.gradients import Rates, Settings
from engine.units import short_size

MOMENTUM = pb.SolverParameter(type="SGD", momentum=0.9)
"""The kind of solver assumed: like most, it keeps one history as large as the parameters."""


@dataclass(frozen=True)
class Need:
    """Sizes in bytes. working: the peak of the blobs between layers, gradients included. The memory that libraries such
    as cuDNN take for themselves is not included."""

    parameters: int
    history: int
    data: int
    working: int

    @property
    def total(self) -> int:
        return self.parameters + self.history + self.data + self.working


def of_training(net: Net) -> Need:
    """The memory for an iteration of SGD with momentum. Raises NetError if only a run can tell."""
    update = updates.from_solver(MOMENTUM)
    params = _arrays(net.params)
    history = jax.eval_shape(update.init, params)
    iteration = step.whole(net, update, Settings.from_solver(MOMENTUM))
    rates = Rates(np.float32(0), np.float32(0))
    inputs = _inputs(net)
    planned = iteration.lower(params, history, rates, step.Drawn(inputs, _key(), 0)).compile(compiler_options())
    return Need(_bytes(params), _bytes(history), _bytes(inputs), _working(planned))


def of_pass(net: Net) -> Need:
    """The memory for a forward pass. Raises NetError if only a run can tell."""
    params, inputs = _arrays(net.params), _inputs(net)
    planned = jitted(lambda p, x, key: net.forward(p, x, key).outputs).lower(params, inputs, _key()).compile()
    return Need(_bytes(params), 0, _bytes(inputs), _working(planned))


def report(net: Net, *, train: bool) -> None:
    """Logs what an iteration (`train`) or a pass takes, and warns if that is more than there is."""
    need = of_training(net) if train else of_pass(net)
    log.info("caffe.cpp:360", f"Memory of {'an iteration' if train else 'a pass'}: {short_size(need.total)}")
    parts = {"Parameters": need.parameters, "History": need.history, "Data": need.data, "Between layers": need.working}
    for name, size in parts.items():
        log.info("caffe.cpp:361", f"{name:>16}: {short_size(size)}")
    limit = available()
    if need.total > limit:
        log.warning("caffe.cpp:362", f"That is more than the {short_size(limit)} available. {LESS}")


def available() -> int:
    """The bytes that one process may have on the device."""
    stats = jax.local_devices()[0].memory_stats()
    return int(stats["bytes_limit"]) if stats and "bytes_limit" in stats else memory.limit()


def _working(planned: jax.stages.Compiled) -> int:
    analysis: Any = planned.memory_analysis()
    # Outputs that reuse the memory of arguments are counted with the arguments.
    return int(analysis.temp_size_in_bytes + analysis.output_size_in_bytes - analysis.alias_size_in_bytes)


def _inputs(net: Net) -> dict[str, jax.ShapeDtypeStruct]:
    if net.dynamic:
        layer = next(layer for layer in net.layers if layer.dynamic)
        raise NetError(f'-memory: the size of what layer "{layer.name}" makes depends on values; only a run can tell.')
    sources = (net.tops[i] for i, node in enumerate(net.graph.nodes) if not node.bottoms)
    return {v.blob: jax.ShapeDtypeStruct(net.shapes[v], np.float32) for tops in sources for v in tops}


def _arrays(params: list[Any]) -> list[jax.ShapeDtypeStruct]:
    return [jax.ShapeDtypeStruct(p.shape, np.float32) for p in params]


def _key() -> jax.Array:
    return jax.random.key(0)


def _bytes(arrays: Any) -> int:
    return sum(4 * prod(leaf.shape) for leaf in jax.tree.leaves(arrays))
