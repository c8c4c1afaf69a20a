"""What an iteration takes of a device's memory, estimated before the job is queued."""

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
"""How many arrays of the parameters' size solvers keep; those not named keep one."""

PASSING_CPU, PASSING_GPU = 4, 1
"""Gradients of blobs, of the largest one's size, that there are at a time as the pass goes back; one more where blobs
are computed anew."""

PROCESS, LAYER = 350 * 2**20, 4 * 2**20
"""Bytes that the engine itself takes of a node's memory: Python and JAX, and more for each layer that XLA compiles.

Fitted to the most that `caffe train` took (resident, batches of noise, `display`, 3 runs each, 2 cores), beyond what
`need` says: LeNet 357 to 367 MiB (9 layers), CIFAR-10 full 347 to 359 (14), CaffeNet 451 to 866 (24), GoogLeNet 950 to
1212 (152), ResNet-50 871 to 1744 (245). The higher ones are of runs in which glibc found no place for a step's
blobs where those of the step before had been."""

SHARE = 0.9
"""How much of a GPU's memory the engine lets JAX take for a process."""


def need(graph: Graph, sizes: Sizes, solver: pb.SolverParameter, flags: TrainFlags = (), *, gpu: bool = False) -> int:
    """Bytes for parameters, their gradients and history, and for the blobs that the pass back needs.

    In bfloat16 a blob takes half. What XLA plans on a CPU is more: by 4 % for GoogLeNet, 6 for CaffeNet, 9 for
    ResNet-50, 25 for MobileNet and 53 for DenseNet-121, whose blobs are joined again and again. On a GPU it is 0.88 of
    this for CaffeNet, 0.87 for GoogLeNet, 0.94 for ResNet-50, 1.02 for MobileNet; in bfloat16 0.89 to 1.1, with
    `recompute` 0.84 to 1.12. Where `display` asks for the loss after training, its pass uses up copies of parameters
    and history. 0 where no size is known.
    """
    asked = dict(flags)
    if gpu and "recompute" in asked:
        kept, passing = kept_blobs.of_products(graph, sizes), PASSING_GPU + 1
    elif gpu:
        kept, passing = kept_blobs.on_gpu(graph, sizes), PASSING_GPU
    else:
        kept, passing = kept_blobs.on_cpu(graph, sizes), PASSING_CPU
    if not kept:
        return 0
    width = 2 if asked.get("precision") == "bfloat16" else 4
    parameters = sum(map(prod, sizes.own))
    updated = 1 + HISTORIES.get(solver.type, 1)
    arrays = 1 + updated * (2 if solver.display else 1)
    return 4 * parameters * arrays + width * (sum(kept) + passing * max(kept))


def process(layers: int) -> int:
    """Bytes of a node's memory for an engine that trains a net of so many layers, besides `need`."""
    return PROCESS + LAYER * layers


def warnings(
    needed: int, layers: int, resources: Resources, kind: GpuType | None, others: Iterable[tuple[str, GpuType]]
) -> list[str]:
    """Said where that is more than the job gets. `kind`: of its GPUs, where the profile names it; `others`: all kinds
    of the cluster, by name."""
    less = memory.less("--")
    if resources.gpus and kind is not None and kind.memory is not None and needed > SHARE * kind.memory:
        enough = [name for name, other in others if other.memory is not None and SHARE * other.memory >= needed]
        larger = f", or --gpu-type {enough[0]}" if enough else ""
        given = short_size(int(SHARE * kind.memory))
        return [
            f"an iteration takes about {short_size(needed)} or more of a GPU's memory, and of the "
            f"{short_size(kind.memory)} of this kind JAX gets {given}. Take {less}, or --recompute{larger}"
        ]
    if not resources.gpus and resources.mem is not None and needed + process(layers) > resources.mem:
        return [
            f"training takes about {short_size(needed + process(layers))} of memory or more, and the job asks for "
            f"{short_size(resources.mem)}: ask for more with --mem, or take {less}"
        ]
    return []
