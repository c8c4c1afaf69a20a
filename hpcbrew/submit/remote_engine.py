"""Whether the cluster has the engine that a job is to run with: on the node is too late, after hours in a queue."""

from collections.abc import Callable
from pathlib import PurePosixPath

from hpcbrew import engine_facts, layout
from hpcbrew.errors import RequestError
from hpcbrew.job import JobPlan
from hpcbrew.transports.base import Transport

ASK = """\
test -x "$1/bin/caffe" || { echo none; exit; }
ls -d "$1"/lib/python*/site-packages/jax_plugins >/dev/null 2>&1 && echo plugins || echo plain
! test -e "$1/$2" || head -c "$3" -- "$1/$2"
"""
"""Prints in its first line whether there is an engine at $1, with JAX's plugins for GPUs; behind it the facts in $2."""


def check(plan: JobPlan, root: PurePosixPath, transport: Transport, warn: Callable[[str], object]) -> None:
    """Raises RequestError where there is none, or none for the GPUs asked for. One of another hpcbrew than this is told
    to `warn`; one that setup did not make is taken as it is, and so are plugins for GPUs that were put into one later.
    root: the cluster's scratch folder.
    """
    if not plan.installed_engine:
        return
    folder, cluster = root / layout.ENGINE, plan.address.cluster
    asked = ["sh", "-c", ASK, "ask", str(folder), layout.ENGINE_FACTS, str(engine_facts.SIZE)]
    answer = transport.run(asked, PurePosixPath("/"), idempotent=True)
    found, _, facts_there = answer.out.partition("\n")
    if found == "none":
        raise RequestError(f"no engine on {cluster} ({folder}/bin/caffe): hpcbrew setup {cluster} installs it")
    facts = engine_facts.read(facts_there.encode())
    if plan.resources.gpus and engine_facts.is_for_cpus(facts) and found != "plugins":
        raise RequestError(
            f"a GPU was asked for, and the engine on {cluster} is the one for CPUs: hpcbrew setup {cluster} --gpu "
            "installs it for GPUs"
        )
    if engine_facts.is_another(facts):
        warn(
            f"the engine on {cluster} is that of another hpcbrew than this one, and may not know all that is asked of "
            f"it: hpcbrew setup {cluster} brings it up to date"
        )
