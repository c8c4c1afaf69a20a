"""Shows the program that XLA compiles for a net's training step on a GPU: its kernels, the bytes they move, its memory.

It is compiled for an H100 on any machine, with JAX's plugin for CUDA: `pip download --no-deps jax-cuda12-plugin
jax-cuda12-pjrt` in jaxlib's version, unpacked into a folder named by --plugin, and a ptxas of CUDA 12 on PATH. Nothing
is autotuned, as it would be on the device: there other libraries may be chosen, but layouts and fusions are the same.
The least time is that of moving the bytes at 3.35 TB/s; products add to it where they take longer.
"""

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_nets import NETS, definition

BANDWIDTH = 3.35e12
"""An H100's memory bandwidth, in bytes per second."""

H100 = """
platform_name: "CUDA" device_description_str: "NVIDIA H100 80GB HBM3" dnn_version_info { major: 9 minor: 10 }
gpu_device_info {
  cuda_compute_capability { major: 9 } core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98 threads_per_warp: 32
  threads_per_block_limit: 1024 threads_per_core_limit: 2048 block_dim_limit_x: 2147483647 block_dim_limit_y: 65535
  block_dim_limit_z: 65535 registers_per_core_limit: 65536 registers_per_block_limit: 65536
  shared_memory_per_block: 49152 shared_memory_per_core: 233472 shared_memory_per_block_optin: 232448
  l2_cache_size: 52428800 memory_bandwidth: 3352320000000 device_memory_size: 84942979072
}
"""
"""What XLA would query from the device, from NVIDIA's data sheet and the tables of the CUDA programming guide."""

WIDTHS = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "f32": 4, "s32": 4, "u32": 4, "s64": 8, "u64": 8}

FREE = {"parameter", "get-tuple-element", "tuple", "bitcast", "constant"}
"""Instructions that compute nothing."""


@dataclass(frozen=True)
class Kernel:
    """kind: the instruction, or the library it calls. read, written: at most this many bytes. operation: its name, with
    the layer that it belongs to."""

    name: str
    kind: str
    read: int
    written: int
    operation: str


def kernels(program: str) -> Iterator[Kernel]:
    """The kernels of an optimised program, in its order. A loop counts as one."""
    sizes: dict[str, int] = {}
    fusions, entry = program.split("\nENTRY", 1)
    parts = sliced(fusions)
    for name, shape, kind, operands, rest in instructions(entry):
        sizes[name] = size(shape)
        if kind in FREE:
            continue
        computation = re.search(r"calls=(%[\w.\-]+)", rest)
        slices = parts.get(computation[1], {}) if computation else {}
        target = re.search(r'custom_call_target="([^"]+)"', rest)
        laid_out = kind == "copy" or "transpose" in name or "copy" in name
        operation = re.search(r'op_name="([^"]*)"', rest)
        yield Kernel(
            name.removeprefix("%"),
            target[1] if target else "layout" if laid_out else kind,
            sum(slices.get(i, sizes.get(operand, 0)) for i, operand in enumerate(operands)),
            sizes[name],
            operation[1] if operation else "",
        )


def instructions(computation: str) -> Iterator[tuple[str, str, str, list[str], str]]:
    """For each instruction: its name, shape, kind, operands, and the rest of its line."""
    for line in computation.splitlines():
        match = re.match(r"\s+(?:ROOT )?(%\S+) = (.*?) ([a-z][a-z\-]+)\(([^)]*)\)(.*)", line)
        if match:
            name, shape, kind, operands, rest = match.groups()
            yield name, shape, kind, re.findall(r"%[\w.\-]+", operands) or [operands], rest


def sliced(program: str) -> dict[str, dict[int, int]]:
    """By computation: the parameters of which a fusion reads only slices, with at most how many bytes it reads."""
    slices: dict[str, dict[int, int]] = {}
    for name, body in re.findall(r"^(%[\w.\-]+) \(.*?\{$(.*?)^\}", program, re.MULTILINE | re.DOTALL):
        lines = list(instructions(body))
        for parameter, shape, kind, (number, *_), _ in lines:
            if kind == "parameter" and (bytes_read := _sliced_of(parameter, lines)) is not None:
                slices.setdefault(name, {})[int(number)] = min(bytes_read, size(shape))
    return slices


def _sliced_of(name: str, lines: list[tuple[str, str, str, list[str], str]]) -> int | None:
    """The bytes read of an instruction if only slices of it are read; None otherwise."""
    sizes: list[int | None] = [
        size(shape) if kind in ("slice", "dynamic-slice") else _sliced_of(reader, lines) if kind == "convert" else None
        for reader, shape, kind, operands, _ in lines
        if name in operands
    ]
    return None if not sizes or None in sizes else sum(filter(None, sizes))


def size(shape: str) -> int:
    """The bytes of an array, or of all arrays in a tuple."""
    total = 0
    for kind, dims in re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", shape):
        count = WIDTHS.get(kind, 0)
        for n in filter(None, dims.split(",")):
            count *= int(n)
        total += count
    return total


def compiled(net: str, batch: int, precision: str, *, recompute: bool = False) -> Any:
    """The training step of one of `NETS` with SGD, compiled for an H100."""
    import jax  # noqa: PLC0415  only after main has put the plugin's folder on sys.path
    import numpy as np  # noqa: PLC0415
    from jax.experimental import topologies  # noqa: PLC0415

    from engine.devices.jax_setup import LOW, PRECISION  # noqa: PLC0415
    from engine.graph import build  # noqa: PLC0415
    from engine.net import Net  # noqa: PLC0415
    from engine.ops import platform  # noqa: PLC0415
    from engine.proto import caffe_pb2 as pb  # noqa: PLC0415
    from engine.proto import text  # noqa: PLC0415
    from engine.solver import step, updates  # noqa: PLC0415
    from engine.solver.backward import Keep  # noqa: PLC0415
    from engine.solver.gradients import Rates, Settings  # noqa: PLC0415

    jax.config.update("jax_default_matmul_precision", PRECISION[precision])
    jax.devices("cpu")  # makes JAX discover its plugins
    topology = topologies.get_topology_desc("gpu", "cuda", target_config=H100, topology="1x1x1")
    sharding = jax.sharding.SingleDeviceSharding(topology.devices[0])

    def array(shape: tuple[int, ...], dtype: Any = np.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    net_parameter = text.parse(definition(net, "train", batch), pb.NetParameter)
    network = Net(build(net_parameter, pb.NetState(phase=pb.TRAIN)), precision=LOW[precision])
    solver = pb.SolverParameter(type="SGD", momentum=0.9, weight_decay=5e-4)
    update = updates.from_solver(solver)
    params = [array(param.shape) for param in network.params]
    history = jax.tree.map(lambda a: array(a.shape, a.dtype), jax.eval_shape(update.init, params))
    inputs = {blob: array(network.blob_shapes[blob]) for source in network.sources for blob in source.config.top}
    key = jax.random.key(0)
    drawn = step.Drawn(inputs, array(key.shape, key.dtype), array((), np.int32))  # type: ignore[arg-type]
    with platform.no_cpu():
        training_step = step.whole(network, update, Settings.from_solver(solver), Keep(recompute=recompute))
        return training_step.lower(params, history, Rates(array(()), array(())), drawn).compile()  # type: ignore[arg-type]


def report(net: str, batch: int, precision: str, most: int, *, recompute: bool) -> None:
    program = compiled(net, batch, precision, recompute=recompute)
    program_kernels = list(kernels(program.as_text()))
    bytes_moved = sum(kernel.read + kernel.written for kernel in program_kernels)
    memory = program.memory_analysis()
    print(
        f"{net}, batch {batch}, {precision}: {len(program_kernels)} kernels, {bytes_moved / 1e9:.2f} GB moved, "
        f"at least {bytes_moved / BANDWIDTH * 1e3:.2f} ms; "
        f"{(memory.temp_size_in_bytes + memory.argument_size_in_bytes) >> 20} MiB"
    )
    by_kind: Counter[str] = Counter()
    for kernel in program_kernels:
        by_kind[kernel.kind] += kernel.read + kernel.written
    for kind, bytes_ in by_kind.most_common():
        print(f"  {kind:36} {sum(k.kind == kind for k in program_kernels):5} {bytes_ / 1e9:8.3f} GB")
    for kernel in sorted(program_kernels, key=lambda k: -k.read - k.written)[:most]:
        print(f"  {(kernel.read + kernel.written) / 1e6:7.0f} MB  {kernel.name}: {kernel.operation[-100:]}")


def main() -> None:
    parser = argparse.ArgumentParser(
        "scripts/bench program", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("nets", nargs="+", choices=NETS, metavar="NET", help=", ".join(NETS))
    parser.add_argument("--plugin", required=True, metavar="DIR", help="the folder with JAX's unpacked plugin for CUDA")
    parser.add_argument("--precision", choices=("float32", "tf32", "bfloat16"), default="float32")
    parser.add_argument("--recompute", action="store_true", help="like caffe train -recompute")
    parser.add_argument("--batch", type=int, help="batch size (default: a usual one for the net on a GPU)")
    parser.add_argument("--top", type=int, default=10, help="list the N kernels that move most (default: %(default)s)")
    args = parser.parse_args()
    if not (Path(args.plugin) / "jax_plugins").is_dir():
        parser.error(
            f"--plugin {args.plugin}: the folder has no jax_plugins. Unpack the wheels of the two packages there."
        )
    sys.path.insert(0, args.plugin)
    os.environ["JAX_PLATFORMS"] = "cpu"
    for net in args.nets:
        report(net, args.batch or NETS[net].gpu["train"], args.precision, args.top, recompute=args.recompute)


if __name__ == "__main__":
    main()
