"""Resolves a request on a cluster: fills in defaults, and checks every limit that the profile knows."""

import re

from engine.suggest import did_you_mean
from engine.units import short_size
from hpcbrew.clusters.profiles import Cluster, GpuType, Queue
from hpcbrew.errors import RequestError
from hpcbrew.job import WORD, WORDS, JobRequest, Resources
from hpcbrew.plan.hardware import Machine
from hpcbrew.units import clock, count, pbs_size


def resolve(request: JobRequest, cluster: Cluster, machine: Machine) -> Resources:
    """Returns the resources that a job requests. `machine` is this machine: its values are used where a profile says
    `detect`.

    Raises RequestError saying what was requested, what is allowed, and which flag would help.
    """
    gpus = request.gpus_per_node
    _check_words(request)
    _check_nodes(request, cluster, gpus, machine)
    kind = gpu_type(request, cluster) or GpuType()
    queue = request.queue or kind.queue or cluster.queue
    rules = _queue(queue, cluster)
    project = request.project or cluster.account.default
    walltime = request.walltime or cluster.default_walltime(rules)
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
        cpus = machine.cpus if resources.cpus == "detect" else resources.cpus
    mem = request.mem or (gpus * mem_per_gpu if gpus and mem_per_gpu else resources.mem)
    if cluster.scheduler == cluster.transport == "local":
        _check_machine(cluster, cpus, mem, machine)
    _check_node(cluster, cpus, mem)
    attributes = resources.select | (kind.select if gpus else resources.cpu_select)
    return Resources(request.nodes, gpus, cpus, mem, walltime, queue, project, attributes)


def missing(resources: Resources, cluster: Cluster, engine: str = "own") -> str:
    """Says what must change before the job can be submitted; usually empty. `engine`: `own`, or the site's `module`."""
    if resources.nodes > 1 and engine == "module":
        return (
            f"{cluster.name}: the site's Caffe trains on one node, and the other {resources.nodes - 1} would be idle: "
            "leave out --nodes, or --engine module"
        )
    if cluster.account.required and not resources.project:
        return (
            f"{cluster.name}: a job needs a project to be charged to: give --project NAME, or set it for good with "
            f"hpcbrew config set project NAME --cluster {cluster.name}"
        )
    return ""


def _check_words(request: JobRequest) -> None:
    """Checks values that go into a directive unquoted: a blank would start another option, a line break another
    command."""
    for flag, value in (("--queue", request.queue), ("--project", request.project)):
        if value is not None and not WORD.fullmatch(value):
            raise RequestError(f"{flag} {value!r}: must be {WORDS}")


def _check_nodes(request: JobRequest, cluster: Cluster, gpus: int, machine: Machine) -> None:
    if cluster.max_nodes is not None and request.nodes > cluster.max_nodes:
        raise RequestError(f"{cluster.name}: allows {count(cluster.max_nodes, 'node')}, {request.nodes} were requested")
    if cluster.gpus_per_node == "detect":
        if gpus and not machine.gpus:
            raise RequestError(
                f"{cluster.name}: a GPU was requested, but this machine has none (no /dev/nvidia*, and nvidia-smi "
                "lists none). Leave out --gpu to train on the CPU, or name a cluster with GPUs: --cluster NAME"
            )
        limit = machine.gpus
    else:
        limit = cluster.gpus_per_node
    if gpus and not limit:
        raise RequestError(
            f"{cluster.name}: a GPU was requested, but the profile says that nodes have none: leave out --gpu to train "
            "on CPUs, or put gpus_per_node: N into your profile"
        )
    if gpus > limit:
        hint = f": --nodes {-(-gpus // limit)} --gpus-per-node {limit}" if cluster.max_nodes != 1 else ""
        raise RequestError(f"{cluster.name}: a node has {count(limit, 'GPU')}, but {gpus} were requested{hint}")


def _check_machine(cluster: Cluster, cpus: int, mem: int | None, machine: Machine) -> None:
    """The queue on this machine runs whatever it is given, at the expense of other programs if that is too much."""
    if cpus > machine.cpus:
        raise RequestError(
            f"{cluster.name}: this machine has {count(machine.cpus, 'core')} for a job, but {cpus} were requested: "
            f"give --cpus {machine.cpus}, or leave it out to use all"
        )
    if machine.mem is not None and mem is not None and mem > machine.mem:
        raise RequestError(
            f"{cluster.name}: this machine has {short_size(machine.mem)} of memory for a job, but {short_size(mem)} "
            "was requested: request less with --mem, or leave it out"
        )


def _check_node(cluster: Cluster, cpus: int, mem: int | None) -> None:
    """PBS accepts a job that no node can hold, and lets it wait forever."""
    if cluster.cpus_per_node is not None and cpus > cluster.cpus_per_node:
        raise RequestError(
            f"{cluster.name}: a node has at most {count(cluster.cpus_per_node, 'core')}, but {cpus} were requested: "
            f"give --cpus {cluster.cpus_per_node}, or more nodes with --nodes"
        )
    if cluster.mem_per_node is not None and mem is not None and mem > cluster.mem_per_node:
        raise RequestError(
            f"{cluster.name}: a node has at most {pbs_size(cluster.mem_per_node)} of memory, but {pbs_size(mem)} was "
            f"requested: give --mem {pbs_size(cluster.mem_per_node)}, or more nodes with --nodes"
        )


def gpu_type(request: JobRequest, cluster: Cluster) -> GpuType | None:
    """Returns the GPU type that `gpu_kind` names."""
    name = gpu_kind(request, cluster)
    return None if name is None else cluster.gpu_types[name]


def gpu_kind(request: JobRequest, cluster: Cluster) -> str | None:
    """Returns the name of the requested GPU type, or else the queue's, the profile's default, or the only one; None if
    it is unknown.

    Raises RequestError for a type that the profile does not have.
    """
    kinds = cluster.gpu_types
    if request.gpu_type is not None:
        if request.gpu_type not in kinds:
            names = ", ".join(kinds) or "none: the profile names no types"
            raise RequestError(f"{cluster.name}: no GPU type {request.gpu_type!r}. Known types: {names}")
        return request.gpu_type
    if not request.gpus_per_node:
        return None
    of_queue = [name for name, kind in kinds.items() if request.queue and kind.queue == request.queue]
    candidates = of_queue or ([cluster.gpu_type] if cluster.gpu_type else list(kinds))
    return candidates[0] if len(candidates) == 1 else None


RESERVATION = re.compile(r"[RSM][0-9]+")
"""The queue of a reservation (advance, standing, maintenance). PBS makes and names these, so no profile lists them."""


def _queue(name: str | None, cluster: Cluster) -> Queue:
    if name is None or not cluster.queues or (name not in cluster.queues and RESERVATION.fullmatch(name)):
        return Queue()
    if name not in cluster.queues:
        raise RequestError(
            f"{cluster.name}: the profile has no queue {name!r}.{did_you_mean(name, cluster.queues, repr)} "
            f"It has: {', '.join(cluster.queues)}. If the site has it, put queues: {{{name}: {{}}}} into your profile"
        )
    return cluster.queues[name]


def _check_queue(name: str, rules: Queue, cluster: Cluster, nodes: int, gpus: int, walltime: int) -> None:
    other_queues = {n: q for n, q in cluster.queues.items() if n != name and _fits(q, nodes, gpus, walltime)}
    if rules.walltime is not None and walltime > rules.walltime:
        fault = f"allows {clock(rules.walltime)}, but {clock(walltime)} was requested"
        allows = next((clock(q.walltime) for q in other_queues.values() if q.walltime), "any walltime")
    elif nodes < rules.min_nodes or (rules.max_nodes is not None and nodes > rules.max_nodes):
        upper_end = f" to {rules.max_nodes}" if rules.max_nodes else " or more"
        fault = f"is for {rules.min_nodes}{upper_end} nodes, but the request is for {nodes}"
        allows = "that"
    elif gpus and not rules.gpus:
        fault, allows = "has no GPUs", "them"
    elif rules.max_gpus is not None and nodes * gpus > rules.max_gpus:
        fault = f"allows {count(rules.max_gpus, 'GPU')} per job, but {nodes * gpus} were requested"
        allows = "that"
    else:
        return
    better_queue = next(iter(other_queues), None)
    hint = f' "{better_queue}" allows {allows}: hpcbrew submit … --queue {better_queue}' if better_queue else ""
    raise RequestError(f'{cluster.name}: queue "{name}" {fault}.{hint}')


def _fits(queue: Queue, nodes: int, gpus: int, walltime: int) -> bool:
    return (
        (queue.walltime is None or walltime <= queue.walltime)
        and nodes >= queue.min_nodes
        and (queue.max_nodes is None or nodes <= queue.max_nodes)
        and (not gpus or queue.gpus)
        and (queue.max_gpus is None or nodes * gpus <= queue.max_gpus)
    )
