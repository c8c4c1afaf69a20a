"""Is a cluster fit for jobs? One question after the other; what is wrong with one holds up no other."""

from collections.abc import Callable, Iterator

from hpcbrew import transports
from hpcbrew.check import entrance, scheduler, software, storage
from hpcbrew.check.finding import Checked, Finding, Mark
from hpcbrew.cluster import Cluster
from hpcbrew.errors import HpcbrewError

Check = Callable[[Checked], Iterator[Finding]]

# In the order of the table, each with what to do where it cannot even be asked.
CHECKS: tuple[tuple[str, Check, str], ...] = (
    ("spurious output", entrance.noise, "try again"),
    ("PATH", entrance.path, "try again"),
    ("clock", entrance.clock, "try again"),
    ("scheduler", scheduler.version, "see that PBS answers there: qstat -B"),
    ("queues", scheduler.queues, "see what PBS answers there: qstat -Q -f"),
    ("project", scheduler.project, ""),
    ("GPUs", scheduler.gpus, "see what PBS answers there: pbsnodes -a"),
    ("modules", software.modules, "try again"),
    ("scratch", storage.quotas, "scratch: in the profile, then hpcbrew setup"),
    ("scratch", storage.writable, "scratch: in the profile, then hpcbrew setup"),
    ("Python", software.python, "python: or python_module: in the profile"),
    ("engine", software.engine, "hpcbrew setup"),
)


def check(cluster: Cluster) -> Iterator[Finding]:
    """Findings, as they are made. Without a connection there is but one."""
    site = Checked(cluster, transports.connect(cluster.address))
    try:
        yield from entrance.connection(site)
    except HpcbrewError as error:
        remedy = f"hpcbrew setup {cluster.name}; `ssh {cluster.host}` must work, from this network"
        yield Finding("connection", Mark.BAD, str(error), remedy)
        return
    for what, find, remedy in CHECKS:
        try:
            yield from find(site)
        except HpcbrewError as error:
            yield Finding(what, Mark.BAD, str(error), remedy)
