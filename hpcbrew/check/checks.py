"""Runs all checks of a cluster, one after another; a failing one does not stop the others."""

from collections.abc import Callable, Iterator

from hpcbrew.check import access, scheduler, software, storage
from hpcbrew.check.finding import Checked, Finding, Mark
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import HpcbrewError
from hpcbrew.transports import ssh_config
from hpcbrew.transports.connect import connect

Check = Callable[[Checked], Iterator[Finding]]

SCRATCH = "hpcbrew setup makes it; if it cannot, put another folder as scratch: into the profile"
# In the order of the table, each with what to do if the check itself fails.
CHECKS: tuple[tuple[str, Check, str], ...] = (
    ("spurious output", access.noise, "try again"),
    ("PATH", access.path, "try again"),
    ("clock", access.clock, "try again"),
    (
        "scheduler",
        scheduler.version,
        "try `qstat -B` there: if it says the same, only the site can fix it",
    ),
    (
        "queues",
        scheduler.queues,
        "try `qstat -Q -f` there: if it says the same, only the site can fix it",
    ),
    ("project", scheduler.project, ""),
    ("GPUs", scheduler.gpus, "try `pbsnodes -a` there: if it says the same, only the site can fix it"),
    ("modules", software.modules, "try again"),
    ("scratch", storage.quotas, SCRATCH),
    ("scratch", storage.writable, SCRATCH),
    ("Python", software.python, "put python: or python_module: into the profile: `module avail python` there"),
    ("engine", software.engine, "hpcbrew setup"),
)


def run(cluster: Cluster) -> Iterator[Finding]:
    """Yields findings as they are made. Without a connection there is only one."""
    site = Checked(cluster, connect(cluster.address))
    try:
        yield from access.connection(site)
    except HpcbrewError as error:
        by_hand = ssh_config.typed(cluster.host or cluster.name)
        remedy = f"hpcbrew setup {cluster.name}; `{by_hand}` must work, from this network"
        yield Finding("connection", Mark.BAD, str(error), remedy)
        return
    for what, find, remedy in CHECKS:
        try:
            yield from find(site)
        except HpcbrewError as error:
            yield Finding(what, Mark.BAD, str(error), remedy)
