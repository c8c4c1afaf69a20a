"""Checks of the scheduler: its version, its server, its queues compared with the profile's, the project, the GPUs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from engine.units import short_size
from hpcbrew import units
from hpcbrew.check.finding import Checked, Finding, Mark
from hpcbrew.clusters import user_settings
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.clusters.profiles import Queue as ProfileQueue
from hpcbrew.command_result import CommandResult
from hpcbrew.schedulers import pbs_site
from hpcbrew.schedulers.pbs_site import Node, Queue
from hpcbrew.units import clock, pbs_size


def _ask(site: Checked, command: Sequence[str]) -> CommandResult:
    return site.transport.run(command, PurePosixPath("/"))


def version(site: Checked) -> Iterator[Finding]:
    """Checks which PBS it is, and whether the profile writes resources in the style that it reads."""
    if site.cluster.scheduler != "pbs":
        return
    product = pbs_site.parse_version(_ask(site, pbs_site.VERSION))
    torque, style = product.name == "Torque", site.cluster.resources.style
    if torque != (style == "nodes"):
        right_style = "nodes" if torque else "select"
        found = f"{product.name} {product.version} does not read the profile's resources.style: {style}"
        yield Finding("scheduler", Mark.BAD, found, f"resources: {{style: {right_style}}} in the profile")
    else:
        yield Finding("scheduler", Mark.OK, f"{product.name} {product.version}")
    server = pbs_site.parse_server(_ask(site, pbs_site.SERVER))
    if server.state not in ("Active", "Idle", "Scheduling"):
        remedy = "jobs will wait until the site lets it schedule again"
        yield Finding("server", Mark.WARN, f"{server.name} is {server.state}", remedy)
    else:
        queue = f"; jobs go to {server.default_queue} by default" if server.default_queue else ""
        yield Finding("server", Mark.OK, f"{server.name} is {server.state}{queue}")


def queues(site: Checked) -> Iterator[Finding]:
    """Checks what the site's queues allow, and where the profile differs. For a queue that is not the default, a
    difference is only a warning."""
    if site.cluster.scheduler != "pbs":
        return
    site_queues = pbs_site.parse_queues(_ask(site, pbs_site.QUEUES))
    yield from compare(site.cluster, site_queues)
    settings = user_settings.of_cluster(site.cluster.name)
    name = settings.get("queue") or site.cluster.queue
    name = name or pbs_site.parse_server(_ask(site, pbs_site.SERVER)).default_queue
    if name in site_queues:
        yield from default_walltime(site.cluster, settings.get("walltime"), site_queues[name], site_queues)


def default_walltime(
    cluster: Cluster, setting: str | None, queue: Queue, site_queues: Mapping[str, Queue]
) -> Iterator[Finding]:
    """Checks that the queue of jobs without --queue accepts the walltime of jobs without --walltime. `setting`: the
    user's own default."""
    remedy = "hpcbrew config set walltime {} --cluster " + cluster.name
    try:
        if setting is None:
            asked = cluster.default_walltime(cluster.queues.get(queue.name, ProfileQueue()))
        else:
            asked = user_settings.PARSERS["walltime"](setting)
    except ValueError as error:
        yield Finding("walltime", Mark.BAD, f"{user_settings.path()}: {error}", remedy.format("TIME"))
        return
    behind = [site_queues.get(to.partition("@")[0]) for to in queue.routes_to] or [queue]
    longest = max(asked if to is None or to.walltime is None else to.walltime for to in behind)
    most = min(longest, asked if queue.walltime is None else queue.walltime)
    if asked > most:
        yield Finding(
            "walltime",
            Mark.WARN,
            f"a job without --walltime requests {clock(asked)}, but queue {queue.name} allows {clock(most)}",
            remedy.format(clock(most)),
        )


def compare(cluster: Cluster, site_queues: dict[str, Queue]) -> Iterator[Finding]:
    """Compares the profile's queues with `site_queues`, the queues of the site by name."""
    names = list(cluster.queues) or ([cluster.queue] if cluster.queue else list(site_queues))
    if cluster.queue and cluster.queue not in names:
        names.append(cluster.queue)
    for name in names:
        is_default = cluster.queue == name
        if name not in site_queues:
            key = "queue: NAME" if is_default else f"queues: {{{name}: null}}"
            remedy = f"{key} in the profile; it has {', '.join(site_queues)}"
            yield Finding(f"queue {name}", Mark.BAD if is_default else Mark.WARN, "does not exist", remedy)
            continue
        queue = site_queues[name]
        wrong = list(_differences(cluster, queue))
        if not queue.open:
            state = "accepts no jobs" if not queue.enabled else "starts no jobs"
            remedy = "choose another with --queue" + (", or with queue: NAME in the profile" if is_default else "")
            yield Finding(f"queue {name}", Mark.BAD if is_default else Mark.WARN, f"{state} for now", remedy)
        elif queue.routed and name in (*cluster.queues, cluster.queue):
            remedy = f"--queue {_route_to(name, site_queues)}; in the profile, name that instead of {name}"
            found = "accepts jobs only from a routing queue, and qsub refuses those that name it"
            yield Finding(f"queue {name}", Mark.BAD if is_default else Mark.WARN, found, remedy)
        elif wrong:
            differences, remedies, contrary = zip(*wrong, strict=True)
            remedy = f"queues: {{{name}: {{{', '.join(remedies)}}}}} in the profile"
            mark = Mark.BAD if is_default and any(contrary) else Mark.WARN
            yield Finding(f"queue {name}", mark, "; ".join(differences), remedy)
        else:
            route = f", through queue {_route_to(name, site_queues)} only" if queue.routed else ""
            yield Finding(f"queue {name}", Mark.OK, f"{limits(queue)}{route}")


def _route_to(name: str, site_queues: dict[str, Queue]) -> str:
    """Returns the queues that route to this one; they may name it with its server."""
    leading = [q.name for q in site_queues.values() if name in [to.partition("@")[0] for to in q.routes_to]]
    return " or ".join(leading) or "NAME"


def _differences(cluster: Cluster, queue: Queue) -> Iterator[tuple[str, str, bool]]:
    """Yields each difference, the key and value that would remove it, and whether the profile contradicts the site
    rather than being silent.

    Only differences by which the profile allows what the site refuses count: a profile may be stricter, and need not
    list queues at all.
    """
    rules = cluster.queues.get(queue.name)
    if rules is None:
        return
    profile_limits = (rules.walltime, rules.max_nodes, rules.max_gpus if rules.gpus else 0)
    site_limits = (queue.walltime, queue.max_nodes, queue.max_gpus)
    for key, site, profile in zip(("walltime", "max_nodes", "max_gpus"), site_limits, profile_limits, strict=True):
        if site is None or (profile is not None and profile <= site):
            continue
        as_text = clock if key == "walltime" else str
        value = f'"{clock(site)}"' if key == "walltime" else str(site)
        profile_limit = "no limit" if profile is None else as_text(profile)
        yield f"{key} is {as_text(site)}, but the profile says {profile_limit}", f"{key}: {value}", profile is not None


def limits(queue: Queue) -> str:
    """Describes a queue's limits."""
    words = [
        _walltimes(queue),
        *([f"{queue.max_nodes} node{'s' if queue.max_nodes > 1 else ''}"] if queue.max_nodes else []),
        *([f"{queue.max_cpus} cores per job"] if queue.max_cpus is not None else []),
        *([f"at least {units.count(queue.min_gpus, 'GPU')} per job"] if queue.min_gpus else []),
        *([f"{units.count(queue.max_gpus, 'GPU')} per job"] if queue.max_gpus else []),
        *(["no GPUs"] if queue.max_gpus == 0 else []),
        *([f"{queue.max_queued} jobs of yours at once"] if queue.max_queued is not None else []),
        *([f"routes to {', '.join(queue.routes_to)}"] if queue.routes_to else []),
        *([f"for {queue.members} only"] if queue.members else []),
    ]
    return ", ".join(words)


def _walltimes(queue: Queue) -> str:
    if queue.min_walltime:
        upper_end = f"to {clock(queue.walltime)}" if queue.walltime else "or longer"
        return f"{clock(queue.min_walltime)} {upper_end}"
    return f"up to {clock(queue.walltime)}" if queue.walltime else "any walltime"


def project(site: Checked) -> Iterator[Finding]:
    """Checks that a project is named if one is required; only qsub can tell whether it may be charged."""
    account = site.cluster.account
    if default := user_settings.of_cluster(site.cluster.name).get("project"):
        yield Finding("project", Mark.OK, f"{default} (hpcbrew config)")
    elif account.default:
        yield Finding("project", Mark.OK, f"{account.default} ({', '.join(account.flag)})")
    elif account.required:
        remedy = "--project NAME with each submit, or hpcbrew config set project NAME"
        yield Finding("project", Mark.WARN, "a job must name one, but the profile has none", remedy)
    else:
        yield Finding("project", Mark.OK, "none is needed")


def gpus(site: Checked) -> Iterator[Finding]:
    """Counts the CPUs, and the GPUs by the profile's types, of the nodes that are up: how many are free, of how
    many."""
    if site.cluster.scheduler != "pbs":
        return
    counted_as = site.cluster.resources.counts[1]
    nodes = pbs_site.parse_nodes(_ask(site, pbs_site.NODES), counted_as)
    yield from cpus(site.cluster, nodes)
    if counted_as:
        yield from count(site.cluster, nodes)
    else:
        yield Finding("GPUs", Mark.OK, "PBS does not count them there (gpus_as: none)")


def cpus(cluster: Cluster, nodes: list[Node]) -> Iterator[Finding]:
    """Counts the free and all CPUs of nodes that are up, and those of the largest node, since PBS accepts jobs that no
    node can hold."""
    nodes_up = [node for node in nodes if node.up and node.cpus]
    if not nodes_up:
        return  # Torque has another name for them; or no node is up
    total, used = sum(node.cpus or 0 for node in nodes_up), sum(node.cpus_used for node in nodes_up)
    cores, memory = _largest(nodes, lambda node: node.cpus), _largest(nodes, lambda node: node.memory)
    of_memory = f" and {short_size(memory)}" if memory else ""
    found = f"{max(0, total - used)} of {total} free; a node has {cores}{of_memory} at most"
    wrong = [
        *_too_much("cpus_per_node", cluster.cpus_per_node, cores, str),
        *_too_much("mem_per_node", cluster.mem_per_node, memory, pbs_size),
        *_asks_too_much(cluster, cores),
    ]
    if wrong:
        faults, remedies = zip(*wrong, strict=True)
        yield Finding("CPUs", Mark.WARN, f"{found}; {'; '.join(faults)}", f"{', '.join(remedies)} in the profile")
    else:
        yield Finding("CPUs", Mark.OK, found)


def _largest(nodes: list[Node], amount: Callable[[Node], int | None]) -> int:
    """Returns the largest amount on one machine, including machines that are down; PBS may divide a machine into
    several nodes."""
    hosts: dict[str, int] = {}
    for node in nodes:
        hosts[node.host] = hosts.get(node.host, 0) + (amount(node) or 0)
    return max(hosts.values(), default=0)


def _too_much(key: str, value: int | None, largest: int, as_text: Callable[[int], str]) -> Iterator[tuple[str, str]]:
    if value is not None and largest and value > largest:
        yield f"the profile says {key}: {as_text(value)}", f"{key}: {as_text(largest)}"


def _asks_too_much(cluster: Cluster, largest: int) -> Iterator[tuple[str, str]]:
    """Checks what a job gets by default."""
    default = cluster.resources.cpus
    if isinstance(default, int) and default > largest:
        yield f"the profile asks for {default}", f"resources: {{cpus: {largest}}}"


def count(cluster: Cluster, nodes: list[Node]) -> Iterator[Finding]:
    """Counts GPUs. `nodes`: all nodes of the site, including those without GPUs."""
    gpu_nodes = [node for node in nodes if node.up and node.gpus]
    total = sum(node.gpus for node in gpu_nodes)
    if not total:
        if cluster.gpus_per_node:
            remedy = "gpus_per_node: 0 in the profile, or ask the site when its GPU nodes are back"
            yield Finding("GPUs", Mark.WARN, "no node that is up has any", remedy)
        else:
            yield Finding("GPUs", Mark.OK, "none, as the profile says")
        return
    kinds = [
        f"{name} {_free(matching)}"
        for name, kind in cluster.gpu_types.items()
        if kind.select and (matching := [node for node in gpu_nodes if _has(node, kind.select)])
    ]
    found = _free(gpu_nodes) + (f": {', '.join(kinds)}" if kinds else "")
    most = max(node.gpus for node in gpu_nodes)
    if cluster.gpus_per_node != "detect" and most < cluster.gpus_per_node:
        found += f"; a node has {most} at most, but the profile says {cluster.gpus_per_node}"
        yield Finding("GPUs", Mark.WARN, found, f"gpus_per_node: {most} in the profile")
    else:
        yield Finding("GPUs", Mark.OK, found)


def _has(node: Node, select: Mapping[str, str]) -> bool:
    """Whether a node says that it has this type of GPU, by attributes or by amounts such as the GPU's memory."""
    has_all = select.keys() <= node.resources.keys()
    return has_all and pbs_site.offers(node, select) and pbs_site.machines([node], select) != 0


def _free(nodes: list[Node]) -> str:
    total = sum(node.gpus for node in nodes)
    if any(node.gpus_used is None for node in nodes):
        return f"{total} in all"
    return f"{total - sum(node.gpus_used or 0 for node in nodes)} of {total} free"
