"""Times a net's passes, and each of its layers alone; logs the times in the words of `caffe time`."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp

from engine import log
from engine.graph.graph import Value
from engine.host import ordered
from engine.layers.base import SourceLayer
from engine.net.jitted import jitted
from engine.net.net import Net
from engine.solver.backward import backward

Array = jax.Array
SECONDS_PER_LAYER = 0.2
"""The limit on the time spent on one direction of one layer, after its first three runs."""


def run(net: Net, params: Sequence[Any], batch: Mapping[str, Any], iterations: int) -> None:
    """Times the passes over `batch` and logs, in milliseconds, means for the net and medians for its layers."""
    key = jax.random.key(0)
    params, inputs = [jnp.asarray(p) for p in params], {name: jnp.asarray(v) for name, v in batch.items()}
    forward = net.compile(lambda p, x: net.forward(p, x, key)[:2])
    forward_backward = net.compile(lambda p, x: backward(net, p, x, key))
    log.info("caffe.cpp:359", "Performing Forward")
    started = time.perf_counter()
    loss = jax.block_until_ready(forward(params, inputs))[0]
    log.info("caffe.cpp:364", f"Initial loss: {log.number(loss)}")
    log.info("caffe.cpp:365", f"Compiled in {_seconds(started)}")
    log.info("caffe.cpp:366", "Performing Backward")
    net.check_backward()
    started = time.perf_counter()
    jax.block_until_ready(forward_backward(params, inputs))
    log.info("caffe.cpp:367", f"Compiled in {_seconds(started)}")
    log.info("caffe.cpp:371", "*** Benchmark begins ***")
    log.info("caffe.cpp:372", f"Testing for {iterations} iterations.")
    ahead = _times(forward, (params, inputs), iterations)
    total = []
    for i in range(iterations):
        total += _times(forward_backward, (params, inputs), 1)
        log.info("caffe.cpp:401", f"Iteration: {i + 1} forward-backward time: {log.number(total[-1])} ms.")
    log.info("caffe.cpp:403", "Compiling each layer separately.")
    log.info("caffe.cpp:404", "Average time per layer: ")
    for i, timed in groupby(layer_times(net, params, inputs, key), itemgetter(0)):
        spent = {"forward": 0.0, "backward": 0.0} | {direction: ms for _, direction, ms in timed}
        for direction, ms in spent.items():  # both, as in Caffe: programs that read these lines pair them
            log.info("caffe.cpp:407", f"{net.layers[i].name:>10}\t{direction}: {log.number(ms)} ms.")
    forward_ms, both_ms = sum(ahead) / iterations, sum(total) / iterations
    log.info("caffe.cpp:415", f"Average Forward pass: {log.number(forward_ms)} ms.")
    log.info("caffe.cpp:417", f"Average Backward pass: {log.number(max(both_ms - forward_ms, 0))} ms.")
    log.info("caffe.cpp:419", f"Average Forward-Backward: {log.number(both_ms)} ms.")
    log.info("caffe.cpp:421", f"Total Time: {log.number(sum(total))} ms.")
    log.info("caffe.cpp:422", "*** Benchmark ends ***")


@dataclass(frozen=True)
class _Alone:
    """One direction of layer `i`, and its arguments. host: whether it runs in Python, and is not compiled."""

    i: int
    direction: str
    run: Callable[..., Any]
    arguments: tuple[dict[int, Array], list[Array]]
    host: bool

    def once(self) -> None:
        jax.block_until_ready(self.run(*self.arguments))


def layer_times(
    net: Net, params: list[Array], inputs: Mapping[str, Array], key: Array
) -> Iterator[tuple[int, str, float]]:
    """Times each layer alone. Yields its number, "forward" or "backward", and the median time in milliseconds.

    Bottoms have the values of a real pass, and the gradients of tops are ones. The backward time is that of the
    gradients only, as far as XLA needs no forward pass for them.
    """
    values = net.compile(lambda p, x: net.forward(p, x, key, keep=True).values)(params, inputs)
    tops = (v for layer, tops in zip(net.layers, net.tops, strict=True) if layer.dynamic for v in tops)
    net = net.resized({v.blob: values[v].shape for v in tops})
    every = list(_alone(net, params, values, key))
    for _ in ordered.mapped(_Alone.once, [one for one in every if not one.host]):
        pass  # this compiles all of them before any is timed
    for one in every:
        spent = _times(one.run, one.arguments, 3)
        spent += _times(one.run, one.arguments, min(20, int(SECONDS_PER_LAYER * 1e3 / max(*spent, 1e-3))))
        yield one.i, one.direction, median(spent)


def _alone(net: Net, params: list[Array], values: Mapping[Value, Array], key: Array) -> Iterator[_Alone]:
    for i, layer in enumerate(net.layers):
        if isinstance(layer, SourceLayer):
            continue
        own = {k: params[k] for k in (*net.param_ids[i], *net.recurrent_ids[i])}
        arguments = own, [values[v] for v in net.graph.nodes[i].bottoms]

        def forward(p: dict[int, Array], x: list[Array], i: int = i) -> list[Array]:
            return net.run(i, p, x, key)[0]

        compiled: Callable[..., Any] = (lambda f: f) if layer.host else jitted
        yield _Alone(i, "forward", compiled(forward), arguments, layer.host)
        if net.needs_backward.layers[i]:
            gradient = partial(_gradient, forward, needed=net.needs_backward.bottoms[i])
            yield _Alone(i, "backward", compiled(gradient), arguments, layer.host)


def _gradient(
    forward: Callable[..., list[Array]], params: dict[int, Array], bottoms: list[Array], *, needed: Sequence[bool]
) -> Any:
    """The gradients of the parameters, and of the bottoms that a backward pass needs."""

    def below(params: dict[int, Array], primals: list[Array]) -> list[Array]:
        values = iter(primals)
        return forward(params, [next(values) if need else x for x, need in zip(bottoms, needed, strict=True)])

    tops, pull = jax.vjp(below, params, [x for x, need in zip(bottoms, needed, strict=True) if need])
    return pull(jax.tree.map(jnp.ones_like, tops))


def _times(function: Callable[..., Any], args: tuple[Any, ...], count: int) -> list[float]:
    """The time in milliseconds of each of `count` calls."""
    out = []
    for _ in range(count):
        started = time.perf_counter()
        jax.block_until_ready(function(*args))
        out.append((time.perf_counter() - started) * 1e3)
    return out


def _seconds(started: float) -> str:
    return f"{time.perf_counter() - started:.2f} s."
