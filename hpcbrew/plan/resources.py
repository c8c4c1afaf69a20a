"""What a request comes to on a cluster: defaults filled in, and every limit that the profile knows of checked."""

import re

from engine.suggest import did_you_mean
from engine.units import short_size
from hpcbrew.clusters.profiles import Cluster, GpuType, Queue
from hpcbrew.errors import RequestError
from hpcbrew.job import WORD, WORDS, JobRequest, Resources
from hpcbrew.plan.hardware import Machine
from hpcbrew.units import clock, count, pbs_size


def resolve(request: JobRequest, cluster: Cluster, here: Machine) -> Resources:
    """`here` is this machine: it fills in where a profile says `detect`.

    Raises RequestError with what was asked, what is allowed, and the flag that would do.
    """
    gpus = request.gpus_per_node
    _check_words(request)
    _check_nodes(request, cluster, gpus, here)
    kind = gpu_type(request, cluster) or GpuType()
    queue = request.queue or kind.queue or cluster.queue
    rules = _queue(queue, cluster)
    project = request.project or cluster.account.default
    walltime = request.walltime or min(cluster.walltime, rules.walltime or cluster.walltime)
    if queue is not None:
        _check_queue(queue, rules, cluster, request.nodes, gpus, walltime)
    resources = cluster.resources
    cpus_per_gpu = kind.cpus_per_gpu or resources.cpus_per_gpu
    mem_per_gpu = kind.mem_per_gpu or resources.mem_per_gpu
    if request.cpus is not None:
        cpus = request.cpus
    elif gpus and cpus_per_gpu:
        cpus = gpus * cpus_per_gpu
    else:
        cpus = here.cpus if resources.cpus == "detect" else resources.cpus
    mem = request.mem or (gpus * mem_per_gpu if gpus and mem_per_gpu else resources.mem)
    if cluster.scheduler == cluster.transport == "local":
        _check_machine(cluster, cpus, mem, here)
    _check_node(cluster, cpus, mem)
    attributes = resources.select | (kind.select if gpus else resources.cpu_select)
    return Resources(request.nodes, gpus, cpus, mem, walltime, queue, project, attributes)


def missing(resources: Resources, cluster: Cluster, engine: str = "own") -> str:
    """What must change before the job can be submitted; nothing, mostly. `engine`: `own`, or the site's `module`."""
    if resources.nodes > 1 and engine == "module":
        return (
            f"{cluster.name}: the site's Caffe trains on one node, and the other {resources.nodes - 1} would stand "
            "idle: leave out --nodes, or --engine module"
        )
    if cluster.account.required and not resources.project:
        return (
            f"{cluster.name}: a job needs a project to be charged to: --project NAME, or once and for all: hpcbrew "
            f"config set project NAME --cluster {cluster.name}"
        )
    return ""


def _check_words(request: JobRequest) -> None:
    """What goes into a directive as it stands: a blank would start another option, a line break another command."""
    for flag, value in (("--queue", request.queue), ("--project", request.project)):
        if value is not None and not WORD.fullmatch(value):
            raise RequestError(f"{flag} {value!r}: must be {WORDS}")


def _check_nodes(request: JobRequest, cluster: Cluster, gpus: int, here: Machine) -> None:
    if cluster.max_nodes is not None and request.nodes > cluster.max_nodes:
        raise RequestError(f"{cluster.name}: allows {count(cluster.max_nodes, 'node')} and {request.nodes} were asked")
    if cluster.gpus_per_node == "detect":
        if gpus and not here.gpus:
            raise RequestError(
                f"{cluster.name}: a GPU was asked for and this machine has none (no /dev/nvidia*, and nvidia-smi shows "
                f"none). Leave out --gpu to train on the CPU, or name a cluster that has some: --cluster NAME"
            )
        allowed = here.gpus
    else:
        allowed = cluster.gpus_per_node
    if gpus and not allowed:
        raise RequestError(
            f"{cluster.name}: a GPU was asked for, and the profile says that nodes have none: leave out --gpu to train "
            "on CPUs, or put gpus_per_node: N into your profile"
        )
    if gpus > allowed:
        hint = f": --nodes {-(-gpus // allowed)} --gpus-per-node {allowed}" if cluster.max_nodes != 1 else ""
        raise RequestError(f"{cluster.name}: a node has {count(allowed, 'GPU')} and {gpus} were asked{hint}")


def _check_machine(cluster: Cluster, cpus: int, mem: int | None, here: Machine) -> None:
    """A queue of this machine's runs what it is given: what is not there, other programs would lack."""
    if cpus > here.cpus:
        raise RequestError(
            f"{cluster.name}: this machine has {count(here.cpus, 'core')} for a job and {cpus} were asked: "
            f"--cpus {here.cpus}, or leave it out to take them all"
        )
    if here.mem is not None and mem is not None and mem > here.mem:
        raise RequestError(
            f"{cluster.name}: this machine has {short_size(here.mem)} of memory for a job and {short_size(mem)} was "
            "asked: ask for less with --mem, or leave it out"
        )


def _check_node(cluster: Cluster, cpus: int, mem: int | None) -> None:
    """PBS takes a job that no node can hold, and lets it wait for ever."""
    if cluster.cpus_per_node is not None and cpus > cluster.cpus_per_node:
        raise RequestError(
            f"{cluster.name}: a node has {count(cluster.cpus_per_node, 'core')} at most and {cpus} were asked: "
            f"--cpus {cluster.cpus_per_node}, or --nodes for more of them"
        )
    if cluster.mem_per_node is not None and mem is not None and mem > cluster.mem_per_node:
        raise RequestError(
            f"{cluster.name}: a node has {pbs_size(cluster.mem_per_node)} of memory at most and {pbs_size(mem)} was "
            f"asked: --mem {pbs_size(cluster.mem_per_node)}, or --nodes for more of them"
        )


def gpu_type(request: JobRequest, cluster: Cluster) -> GpuType | None:
    """The kind of GPU that `gpu_kind` names."""
    name = gpu_kind(request, cluster)
    return None if name is None else cluster.gpu_types[name]


def gpu_kind(request: JobRequest, cluster: Cluster) -> str | None:
    """The name of the kind of GPU that was asked for; or else that of the queue, the profile's own, or the only one.

    Raises RequestError for one that there is not.
    """
    kinds = cluster.gpu_types
    if request.gpu_type is not None:
        if request.gpu_type not in kinds:
            there = ", ".join(kinds) or "none: the profile names no types"
            raise RequestError(f"{cluster.name}: no GPU type {request.gpu_type!r}. There are: {there}")
        return request.gpu_type
    if not request.gpus_per_node:
        return None
    of_queue = [name for name, kind in kinds.items() if request.queue and kind.queue == request.queue]
    fitting = of_queue or ([cluster.gpu_type] if cluster.gpu_type else list(kinds))
    return fitting[0] if len(fitting) == 1 else None


RESERVATION = re.compile(r"[RSM][0-9]+")
"""The queue of a reservation (advance, standing, for maintenance), which PBS makes and names: no profile lists it."""


def _queue(name: str | None, cluster: Cluster) -> Queue:
    if name is None or not cluster.queues or (name not in cluster.queues and RESERVATION.fullmatch(name)):
        return Queue()
    if name not in cluster.queues:
        raise RequestError(
            f"{cluster.name}: the profile has no queue {name!r}.{did_you_mean(name, cluster.queues, repr)} "
            f"It has: {', '.join(cluster.queues)}. Where the site has it: queues: {{{name}: {{}}}} in your profile"
        )
    return cluster.queues[name]


def _check_queue(name: str, rules: Queue, cluster: Cluster, nodes: int, gpus: int, walltime: int) -> None:
    others = {n: q for n, q in cluster.queues.items() if n != name and _fits(q, nodes, gpus, walltime)}
    if rules.walltime is not None and walltime > rules.walltime:
        fault = f"allows {clock(rules.walltime)} and {clock(walltime)} was asked"
        allows = next((clock(q.walltime) for q in others.values() if q.walltime), "as long as you like")
    elif nodes < rules.min_nodes or (rules.max_nodes is not None and nodes > rules.max_nodes):
        most = f" to {rules.max_nodes}" if rules.max_nodes else " or more"
        fault = f"is for {rules.min_nodes}{most} nodes and {nodes} was asked"
        allows = "that"
    elif gpus and not rules.gpus:
        fault, allows = "has no GPUs", "them"
    elif rules.max_gpus is not None and nodes * gpus > rules.max_gpus:
        fault = f"allows {count(rules.max_gpus, 'GPU')} a job and {nodes * gpus} were asked"
        allows = "that"
    else:
        return
    better = next(iter(others), None)
    hint = f' "{better}" allows {allows}: hpcbrew submit … --queue {better}' if better else ""
    raise RequestError(f'{cluster.name}: queue "{name}" {fault}.{hint}')


def _fits(queue: Queue, nodes: int, gpus: int, walltime: int) -> bool:
    return (
        (queue.walltime is None or walltime <= queue.walltime)
        and nodes >= queue.min_nodes
        and (queue.max_nodes is None or nodes <= queue.max_nodes)
        and (not gpus or queue.gpus)
        and (queue.max_gpus is None or nodes * gpus <= queue.max_gpus)
    )
