"""Describes a PBS site: its version, server, queues and nodes. The commands, and the parsers of their answers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hpcbrew import units
from hpcbrew.command_result import CommandResult
from hpcbrew.errors import SchedulerError
from hpcbrew.schedulers import pbs_output
from hpcbrew.schedulers.pbs_output import Form

VERSION = ("qstat", "--version")
SERVER = ("qstat", "-B", "-f")
QUEUES = ("qstat", "-Q", "-f")
NODES = ("pbsnodes", "-a")

DOWN = {"down", "offline", "stale", "state-unknown", "unresolvable", "provisioning", "maintenance"}


@dataclass(frozen=True)
class Product:
    """`OpenPBS`, `PBS Pro` or `Torque`, and the version that it reports."""

    name: str
    version: str


@dataclass(frozen=True)
class Server:
    """`state` as PBS writes it: `Active`, `Idle`, `Down`, …"""

    name: str
    state: str
    default_queue: str | None


@dataclass(frozen=True)
class Queue:
    """The properties of a queue; None for no limit. `walltime` and `min_walltime` are in seconds.

    `open`: it accepts jobs and starts them. `members`: whom it is for, if not for all. `max_queued`: the most jobs of
    one user. `routes_to`: for a routing queue, the queues to which it passes its jobs. `routed`: it accepts jobs only
    from such a queue, and qsub refuses jobs that name it.
    """

    name: str
    enabled: bool
    started: bool
    walltime: int | None
    max_nodes: int | None
    max_gpus: int | None
    members: str
    max_cpus: int | None = None
    min_walltime: int | None = None
    max_queued: int | None = None
    routes_to: tuple[str, ...] = ()
    routed: bool = False
    min_gpus: int | None = None

    @property
    def open(self) -> bool:
        return self.enabled and self.started


@dataclass(frozen=True)
class Node:
    """A node's GPUs, in all and in use, what `select` may request of it, and how much of that is in use.

    `gpus_used` is None if PBS does not say.
    """

    name: str
    up: bool
    gpus: int
    gpus_used: int | None
    resources: dict[str, str]
    assigned: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The machine, which may comprise several nodes in PBS's sense."""
        return self.resources.get("host", self.name)

    @property
    def cpus(self) -> int | None:
        return _number(self.resources.get("ncpus"))

    @property
    def cpus_used(self) -> int:
        return _number(self.assigned.get("ncpus")) or 0

    @property
    def memory(self) -> int | None:
        """Bytes."""
        return _bytes(self.resources.get("mem"))


def parse_version(answer: CommandResult) -> Product:
    """Reads product and version. PBS Pro's versions are years or contain its name; OpenPBS's start at 20; Torque says
    `Version:`.

    Raises SchedulerError for an answer without a version.
    """
    text = f"{answer.out}\n{answer.err}"
    if match := re.search(r"pbs_version = (\S+)", text):
        version = match[1]
        first = re.match(r"(\d{1,9})\.", version)
        is_openpbs = first is not None and 20 <= int(first[1]) < 100
        return Product("OpenPBS" if is_openpbs else "PBS Pro", version.removeprefix("PBSPro_"))
    if match := re.search(r"^Version: (\S+)", text, re.MULTILINE):
        return Product("Torque", match[1])
    raise SchedulerError(f"qstat --version (exit status {answer.status}): {answer.words}")


def parse_server(answer: CommandResult) -> Server:
    name, values = next(iter(_entries(answer, pbs_output.SERVERS, SERVER).items()))
    return Server(name, values.get("server_state", "unknown"), values.get("default_queue"))


def parse_queues(answer: CommandResult) -> dict[str, Queue]:
    return {name: _queue(name, v) for name, v in _entries(answer, pbs_output.QUEUES, QUEUES).items()}


def parse_nodes(answer: CommandResult, gpus: str = "ngpus") -> list[Node]:
    """`gpus`: the resource by which the site counts GPUs; Torque has its own name for them."""
    entries = _entries(answer, pbs_output.NODES, NODES)
    return [_node(name, values, gpus) for name, values in entries.items() if "state" in values]


def _entries(answer: CommandResult, form: Form, command: tuple[str, ...]) -> dict[str, dict[str, str]]:
    entries = pbs_output.parse(answer.out, form)
    if answer.status != 0 or not entries:
        raise SchedulerError(f"{' '.join(command)} (exit status {answer.status}): {answer.words}")
    return entries


def _queue(name: str, values: dict[str, str]) -> Queue:
    kinds = [kind for kind in ("users", "groups") if values.get(f"acl_{kind[:-1]}_enable") == "True"]
    return Queue(
        name,
        values.get("enabled") == "True",
        values.get("started") == "True",
        _seconds(values.get("resources_max.walltime")),
        _number(values.get("resources_max.nodect") or values.get("resources_max.nodes")),
        _number(values.get("resources_max.ngpus")),
        "; ".join(f"{kind} {values.get(f'acl_{kind}', 'none')}" for kind in kinds),
        _number(values.get("resources_max.ncpus")),
        _seconds(values.get("resources_min.walltime")),
        _each_user(values.get("max_queued", "")) or _number(values.get("max_user_queuable")),
        tuple(filter(None, values.get("route_destinations", "").split(","))),
        values.get("from_route_only") == "True",
        _number(values.get("resources_min.ngpus")),
    )


def _each_user(limit: str) -> int | None:
    """Reads the limit for each single user: 2 from `[u:PBS_GENERIC=2],[o:PBS_ALL=100]`."""
    match = re.search(r"\[u:PBS_GENERIC=([0-9]{1,9})\]", limit)
    return int(match[1]) if match else None


def _node(name: str, values: dict[str, str], counted_as: str) -> Node:
    resources, assigned = _below(values, "resources_available."), _below(values, "resources_assigned.")
    torque = "np" in values
    gpus = _number(values.get("gpus") if torque else resources.get(counted_as)) or 0
    gpus_used = None if torque else _number(assigned.get(counted_as)) or 0
    up = not DOWN & {state.strip() for state in values["state"].split(",")}
    return Node(name, up, gpus, gpus_used, resources, assigned)


def _below(values: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


def largest(nodes: Sequence[Node], chunk: Mapping[str, str]) -> dict[str, int] | None:
    """If no machine can ever hold this chunk of `select` (`ncpus`, `mem`, … and attributes such as the GPU type),
    returns the largest amount of each resource on machines with those attributes. None if one can, or if that is not
    known.

    Nodes that are down count, since they will come back. The nodes of one host are added up.
    """
    if machines(nodes, chunk) != 0:
        return None
    hosts = _hosts(nodes, chunk)
    return {name: max(have.get(name, 0) for have in hosts) for name in chunk if any(name in have for have in hosts)}


def machines(nodes: Sequence[Node], chunk: Mapping[str, str]) -> int | None:
    """Returns how many machines can hold this chunk of `select` when empty; None if that is not known."""
    hosts = _hosts(nodes, chunk)
    amounts = {name: amount(chunk[name]) or 0 for name in chunk if any(name in host for host in hosts)}
    return sum(all(host.get(n, 0) >= least for n, least in amounts.items()) for host in hosts) if amounts else None


def _hosts(nodes: Sequence[Node], chunk: Mapping[str, str]) -> list[dict[str, int]]:
    """Returns, for each machine with the requested attributes, the amounts of the requested countable resources."""
    hosts: dict[str, dict[str, int]] = {}
    for node in nodes:
        if offers(node, chunk):
            amounts = hosts.setdefault(node.host, {})
            for name in chunk:
                if (quantity := _countable(node, name, chunk[name])) is not None:
                    amounts[name] = amounts.get(name, 0) + quantity
    return list(hosts.values())


def offers(node: Node, attributes: Mapping[str, str]) -> bool:
    """Whether a node has those of the attributes that are not amounts, such as the GPU type or a flag. It may have
    several values, separated by commas.

    Attributes that a node does not mention, and negated ones (`cluster=^old`), are the site's own rules, and pass.
    """
    return all(
        value.startswith("^") or value.lower() in node.resources[name].lower().split(",")
        for name, value in attributes.items()
        if name in node.resources and _countable(node, name, value) is None
    )


def _countable(node: Node, name: str, value: str) -> int | None:
    """Returns how much a node has of a resource if both that and the request are amounts: cores, memory, disk."""
    return amount(node.resources.get(name)) if amount(value) is not None else None


def amount(text: str | None) -> int | None:
    """Reads a number, or a size in bytes; None for other text."""
    return 0 if text and re.fullmatch("0+([kmgtp]?[bw])?", text) else _bytes(text)


def _bytes(text: str | None) -> int | None:
    try:
        return units.size(text) if text else None
    except ValueError:
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,9}", text) else None


def _seconds(text: str | None) -> int | None:
    """Reads a time in seconds; an unreadable limit counts as unknown."""
    try:
        return units.seconds(text) if text else None
    except ValueError:
        return None
