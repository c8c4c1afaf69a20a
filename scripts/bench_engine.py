"""The engine's side of `scripts/bench`: times training iterations, passes, each layer, or the machine's own products.

    bench_engine.py NET.prototxt (train|infer|layers|machine) [--gpu N] [--precision P] [--seconds S]

The inputs are already on the device; `scripts/bench data` times how fast data get there.
"""

import argparse
from typing import Any

from bench_worker import Memory, Run, answer, say, seconds_of

SIZE = {"cpu": (2048, 2**25), "gpu": (8192, 2**28)}
"""Rows of the square matrices, and the count of numbers copied, with which a device's peak is measured."""


class OnDevice(Memory):
    """Memory on a GPU, whose allocator reports its peak."""

    def peak(self) -> float | None:
        import jax  # noqa: PLC0415  after it is set up

        stats = jax.local_devices()[0].memory_stats()
        return stats["peak_bytes_in_use"] if stats else super().peak()


def load(path: str, train: bool, precision: str) -> tuple[Any, list[Any], dict[str, Any], Any]:
    """The net, its parameters and random inputs on the device, and a random key."""
    import jax  # noqa: PLC0415

    from engine.devices.jax_setup import LOW  # noqa: PLC0415
    from engine.graph import build  # noqa: PLC0415
    from engine.net import Net  # noqa: PLC0415
    from engine.proto import caffe_pb2 as pb  # noqa: PLC0415
    from engine.proto import text  # noqa: PLC0415

    state = pb.NetState(phase=pb.TRAIN if train else pb.TEST)
    net = Net(build(text.read_net(path), state, path), precision=LOW[precision])
    key = jax.random.key(1)
    inputs = {}
    for source in net.sources:
        for blob in source.config.top:
            shape = net.blob_shapes[blob]
            inputs[blob] = jax.random.normal(key, shape) if len(shape) > 1 else jax.numpy.full(shape, 3.0)
    return net, [jax.numpy.asarray(value) for value in net.init(1)], jax.block_until_ready(inputs), key


def infer(path: str, precision: str) -> Run:
    """Returns a function that runs n forward passes in the TEST phase."""
    import jax  # noqa: PLC0415

    net, params, inputs, key = load(path, False, precision)
    forward = net.compile(lambda params, inputs: net.forward(params, inputs, key).outputs)

    def run(n: int) -> None:
        for _ in range(n):
            outputs = forward(params, inputs)
        jax.block_until_ready(outputs)

    return run


def train(path: str, precision: str) -> Run:
    """Returns a function that runs n iterations of SGD with momentum and weight decay, as many per call as a solver."""
    import jax  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    from engine.devices.data_parallel import DataParallel  # noqa: PLC0415
    from engine.proto import caffe_pb2 as pb  # noqa: PLC0415
    from engine.solver import loop, updates  # noqa: PLC0415
    from engine.solver.backward import NOTHING  # noqa: PLC0415
    from engine.solver.gradients import Rates, Settings  # noqa: PLC0415

    net, params, inputs, key = load(path, True, precision)
    solver = pb.SolverParameter(type="SGD", momentum=0.9, weight_decay=5e-4, base_lr=1e-4, lr_policy="fixed")
    update, settings = updates.from_solver(solver), Settings.from_solver(solver)
    iterate, per_call = loop.compiled(net, update, settings), loop.most(net, settings, NOTHING, DataParallel())
    rates = [Rates(np.float32(1e-4), np.float32(0.9))] * per_call
    state: list[Any] = [params, update.init(params)]

    def run(n: int) -> None:
        for k in range(0, n, per_call):
            last_step = iterate(state[0], state[1], rates[: n - k], lambda: inputs, key, k).last
            state[:] = last_step.params, last_step.history
        jax.block_until_ready(state[0])

    return run


def layers(path: str, precision: str) -> list[tuple[int, str, float]]:
    """(number, direction, milliseconds) of each layer on its own."""
    from engine.solver import benchmark  # noqa: PLC0415

    return list(benchmark.layer_times(*load(path, True, precision)))


def machine(device: str, precision: str) -> None:
    """Answers each line with the device's peak: FLOP/s in a product, bytes/s in a copy.

    The product is of random numbers, because GPUs multiply ones faster.
    """
    import jax  # noqa: PLC0415
    import jax.numpy as jnp  # noqa: PLC0415

    from engine.devices.jax_setup import LOW  # noqa: PLC0415

    rows, numbers = SIZE[device]
    a, x = jax.random.normal(jax.random.key(0), (rows, rows), LOW[precision]), jnp.ones(numbers)
    product, copy = jax.jit(jnp.matmul), jax.jit(lambda x: x + 1)

    def rate(work: float, function: Any, *args: Any) -> float:
        def run(n: int) -> None:
            for _ in range(n):
                output = function(*args)
            jax.block_until_ready(output)

        run(2)
        return work / min(seconds_of(run, 3) / 3 for _ in range(4))

    say("ready")
    while True:
        try:
            input()
        except EOFError:
            return
        say([rate(2 * rows**3, product, a, a), rate(8 * numbers, copy, x)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("net")
    parser.add_argument("task", choices=("train", "infer", "layers", "machine"))
    parser.add_argument("--gpu", default="")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--seconds", type=float, default=0.5)
    args = parser.parse_args()
    from engine.cli import runtime  # noqa: PLC0415  imports JAX, which --help does not need

    runtime.prepare(args.gpu, args.precision)
    import jax  # noqa: PLC0415

    jax.devices()
    if args.task == "machine":
        machine("gpu" if args.gpu else "cpu", args.precision)
        return
    say("prepared")
    if args.task == "layers":
        say(layers(args.net, args.precision))
        return
    memory = OnDevice()
    answer({"train": train, "infer": infer}[args.task](args.net, args.precision), args.seconds, memory)


if __name__ == "__main__":
    main()
