"""Estimates the memory that an iteration takes on a device, before the job is queued."""

from collections.abc import Iterable
from math import prod

from engine.graph.blob_shapes import Sizes
from engine.graph.graph import Graph
from engine.host import memory
from engine.proto import caffe_pb2 as pb
from engine.units import short_size
from hpcbrew.clusters.profiles import GpuType
from hpcbrew.job import Resources
from hpcbrew.plan import kept_blobs
from hpcbrew.train_flags import TrainFlags

HISTORIES = {"AdaDelta": 2, "Adam": 2}
"""The number of arrays of the parameters' size that each solver keeps; solvers not listed keep one."""

PASSING_CPU, PASSING_GPU = 4, 1
"""The number of blob gradients, each of the largest blob's size, that exist at a time during the backward pass; there
is one more if blobs are recomputed."""

PROCESS, LAYER = 350 * 2**20, 4 * 2**20
"""Bytes of a node's memory that the engine itself takes: for Python and JAX, and for each layer that XLA compiles.

Fitted to the peak resident memory of `caffe train` (batches of noise, `display`, 3 runs each, 2 cores) beyond what
`need` returns: LeNet 357 to 367 MiB (9 layers), CIFAR-10 full 347 to 359 (14), CaffeNet 451 to 866 (24), GoogLeNet 950
to 1212 (152), ResNet-50 871 to 1744 (245). The higher values are from runs in which glibc could not place a step's
blobs where those of the step before had been."""

SHARE = 0.9
"""The fraction of a GPU's memory that the engine lets JAX allocate for a process."""


def need(graph: Graph, sizes: Sizes, solver: pb.SolverParameter, flags: TrainFlags = (), *, gpu: bool = False) -> int:
    """Returns the bytes for parameters, their gradients and history, and the blobs that the backward pass needs; 0 if
    no size is known.

    In bfloat16 a blob takes half. On a CPU, XLA plans for more: by 4 % for GoogLeNet, 6 for CaffeNet, 9 for ResNet-50,
    25 for MobileNet and 53 for DenseNet-121, whose blobs are concatenated again and again. On a GPU, it plans for 0.88
    of this for CaffeNet, 0.87 for GoogLeNet, 0.94 for ResNet-50, 1.02 for MobileNet; in bfloat16 0.89 to 1.1, with
    `recompute` 0.84 to 1.12. If `display` asks for the loss after training, the pass for it consumes copies of
    parameters and history.
    """
    flag_values = dict(flags)
    if gpu and "recompute" in flag_values:
        blob_sizes, passing = kept_blobs.of_products(graph, sizes), PASSING_GPU + 1
    elif gpu:
        blob_sizes, passing = kept_blobs.on_gpu(graph, sizes), PASSING_GPU
    else:
        blob_sizes, passing = kept_blobs.on_cpu(graph, sizes), PASSING_CPU
    if not blob_sizes:
        return 0
    width = 2 if flag_values.get("precision") == "bfloat16" else 4
    parameters = sum(map(prod, sizes.own))
    copies = 1 + HISTORIES.get(solver.type, 1)
    arrays = 1 + copies * (2 if solver.display else 1)
    return 4 * parameters * arrays + width * (sum(blob_sizes) + passing * max(blob_sizes))


def process(layers: int) -> int:
    """Returns the bytes of a node's memory that the engine takes for a net with that many layers, in addition to
    `need`."""
    return PROCESS + LAYER * layers


def warnings(
    bytes_needed: int, layers: int, resources: Resources, kind: GpuType | None, gpu_types: Iterable[tuple[str, GpuType]]
) -> list[str]:
    """Returns a warning if that is more memory than the job gets. `kind`: the type of its GPUs, if the profile names
    it; `gpu_types`: all GPU types of the cluster, by name."""
    advice = memory.saving_advice("--")
    if resources.gpus and kind is not None and kind.memory is not None and bytes_needed > SHARE * kind.memory:
        sufficient_types = [
            name
            for name, gpu_type in gpu_types
            if gpu_type.memory is not None and SHARE * gpu_type.memory >= bytes_needed
        ]
        hint = f", or --gpu-type {sufficient_types[0]}" if sufficient_types else ""
        usable = short_size(int(SHARE * kind.memory))
        return [
            f"an iteration takes about {short_size(bytes_needed)} or more of GPU memory, but of the "
            f"{short_size(kind.memory)} on this type of GPU, JAX gets {usable}. Take {advice}, or --recompute{hint}"
        ]
    if not resources.gpus and resources.mem is not None and bytes_needed + process(layers) > resources.mem:
        return [
            f"training takes about {short_size(bytes_needed + process(layers))} of memory or more, but the job "
            f"requests {short_size(resources.mem)}: request more with --mem, or take {advice}"
        ]
    return []
