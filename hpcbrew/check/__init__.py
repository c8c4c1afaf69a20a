"""Is a cluster fit for jobs? One question after the other; what is wrong with one holds up no other."""

import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

from hpcbrew import transports
from hpcbrew.check import entrance, scheduler, software, storage
from hpcbrew.check.finding import Checked, Finding, Mark
from hpcbrew.cluster import Cluster
from hpcbrew.errors import HpcbrewError, TransportError

Check = Callable[[Checked], Iterator[Finding]]

SCRATCH = "hpcbrew setup makes it; where it cannot, put another folder as scratch: into the profile"
# In the order of the table, each with what to do where it cannot even be asked.
CHECKS: tuple[tuple[str, Check, str], ...] = (
    ("spurious output", entrance.noise, "try again"),
    ("PATH", entrance.path, "try again"),
    ("clock", entrance.clock, "try again"),
    (
        "scheduler",
        scheduler.version,
        "try `qstat -B` there: where it says the same, the site has to put it right",
    ),
    (
        "queues",
        scheduler.queues,
        "try `qstat -Q -f` there: where it says the same, the site has to put it right",
    ),
    ("project", scheduler.project, ""),
    ("GPUs", scheduler.gpus, "try `pbsnodes -a` there: where it says the same, the site has to put it right"),
    ("modules", software.modules, "try again"),
    ("scratch", storage.quotas, SCRATCH),
    ("scratch", storage.writable, SCRATCH),
    ("Python", software.python, "put python: or python_module: into the profile: `module avail python` there"),
    ("engine", software.engine, "hpcbrew setup"),
)


# Seconds that a question may take: a scheduler or a file system that is down may never answer. The first one has a
# person type passwords and codes.
LIMIT, PATIENCE = 60.0, 300.0


def check(cluster: Cluster) -> Iterator[Finding]:
    """Findings, as they are made. Without a connection there is but one."""
    site = Checked(cluster, transports.connect(cluster.address))
    try:
        yield from _within(PATIENCE, entrance.connection, site)
    except HpcbrewError as error:
        remedy = f"hpcbrew setup {cluster.name}; `ssh {cluster.host}` must work, from this network"
        yield Finding("connection", Mark.BAD, str(error), remedy)
        return
    for what, find, remedy in CHECKS:
        try:
            yield from _within(LIMIT, find, site)
        except HpcbrewError as error:
            yield Finding(what, Mark.BAD, str(error), remedy)


def _within(seconds: float, find: Check, site: Checked) -> Iterator[Finding]:
    """What a check finds, as it finds it. Raises what it raises, and TransportError where it takes longer."""
    found: SimpleQueue[Finding | BaseException | None] = SimpleQueue()

    def ask() -> None:
        try:
            for finding in find(site):
                found.put(finding)
            found.put(None)
        except BaseException as error:
            found.put(error)

    end = time.monotonic() + seconds
    threading.Thread(target=ask, daemon=True).start()
    while True:
        try:
            one = found.get(timeout=max(0.0, end - time.monotonic()))
        except Empty:
            raise TransportError(f"no answer within {seconds:.0f} s") from None
        if one is None:
            return
        if isinstance(one, BaseException):
            raise one
        yield one
