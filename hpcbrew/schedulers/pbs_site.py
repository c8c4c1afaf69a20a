"""What a PBS site is like: its version, its server, its queues and its nodes. Commands, and the reading of answers."""

import re
from dataclasses import dataclass

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
    """`OpenPBS`, `PBS Pro` or `Torque`, and its version as it says itself."""

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
    """What a queue says of itself; None for no limit. `walltime` in seconds.

    `open`: it takes jobs and starts them. `members`: whom it is for, where it is not for all.
    """

    name: str
    enabled: bool
    started: bool
    walltime: int | None
    max_nodes: int | None
    max_gpus: int | None
    members: str

    @property
    def open(self) -> bool:
        return self.enabled and self.started


@dataclass(frozen=True)
class Node:
    """A node's GPUs, in all and in use, and what `select` may ask of it. `used` is None where PBS does not say."""

    name: str
    up: bool
    gpus: int
    used: int | None
    resources: dict[str, str]


def parse_version(answer: CommandResult) -> Product:
    """PBS Pro numbers its releases by year or says its name; OpenPBS has numbers from 20 on; Torque says `Version:`."""
    said = f"{answer.out}\n{answer.err}"
    if match := re.search(r"pbs_version = (\S+)", said):
        version = match[1]
        first = re.match(r"(\d+)\.", version)
        opened = first is not None and 20 <= int(first[1]) < 100
        return Product("OpenPBS" if opened else "PBS Pro", version.removeprefix("PBSPro_"))
    if match := re.search(r"^Version: (\S+)", said, re.MULTILINE):
        return Product("Torque", match[1])
    raise SchedulerError(f"qstat --version (exit status {answer.status}): {answer.words}")


def parse_server(answer: CommandResult) -> Server:
    name, values = next(iter(_entries(answer, pbs_output.SERVERS, SERVER).items()))
    return Server(name, values.get("server_state", "unknown"), values.get("default_queue"))


def parse_queues(answer: CommandResult) -> dict[str, Queue]:
    return {name: _queue(name, v) for name, v in _entries(answer, pbs_output.QUEUES, QUEUES).items()}


def parse_nodes(answer: CommandResult) -> list[Node]:
    found = _entries(answer, pbs_output.NODES, NODES)
    return [_node(name, values) for name, values in found.items() if "state" in values]


def _entries(answer: CommandResult, form: Form, command: tuple[str, ...]) -> dict[str, dict[str, str]]:
    found = pbs_output.parse(answer.out, form)
    if answer.status != 0 or not found:
        raise SchedulerError(f"{' '.join(command)} (exit status {answer.status}): {answer.words}")
    return found


def _queue(name: str, values: dict[str, str]) -> Queue:
    walltime = values.get("resources_max.walltime")
    kinds = [kind for kind in ("users", "groups") if values.get(f"acl_{kind[:-1]}_enable") == "True"]
    return Queue(
        name,
        values.get("enabled") == "True",
        values.get("started") == "True",
        units.seconds(walltime) if walltime else None,
        _number(values.get("resources_max.nodect")),
        _number(values.get("resources_max.ngpus")),
        "; ".join(f"{kind} {values.get(f'acl_{kind}', 'none')}" for kind in kinds),
    )


def _node(name: str, values: dict[str, str]) -> Node:
    prefix = "resources_available."
    resources = {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
    torque = "np" in values
    gpus = _number(values.get("gpus") if torque else resources.get("ngpus")) or 0
    used = None if torque else _number(values.get("resources_assigned.ngpus")) or 0
    up = not DOWN & {state.strip() for state in values["state"].split(",")}
    return Node(name, up, gpus, used, resources)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
