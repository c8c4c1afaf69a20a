"""Checks that the cluster has the engine a job needs: on the node, after hours in the queue, would be too late."""

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
"""Prints on its first line whether there is an engine at $1 and whether it has JAX's GPU plugins; then the facts in
file $2, at most $3 bytes of them."""


def check(plan: JobPlan, root: PurePosixPath, transport: Transport, warn: Callable[[str], object]) -> None:
    """Raises RequestError if there is no engine, or none for the requested GPUs. Calls `warn` if it is from a different
    hpcbrew than this one. An engine that setup did not install is accepted as it is, and so are GPU plugins that were
    added to one later. root: the cluster's scratch folder.
    """
    if not plan.installed_engine:
        return
    folder, cluster = root / layout.ENGINE, plan.address.cluster
    command = ["sh", "-c", ASK, "ask", str(folder), layout.ENGINE_FACTS, str(engine_facts.SIZE)]
    answer = transport.run(command, PurePosixPath("/"), idempotent=True)
    kind, _, facts_there = answer.out.partition("\n")
    if kind == "none":
        raise RequestError(f"no engine on {cluster} ({folder}/bin/caffe): hpcbrew setup {cluster} installs it")
    facts = engine_facts.read(facts_there.encode())
    if plan.resources.gpus and engine_facts.is_for_cpus(facts) and kind != "plugins":
        raise RequestError(
            f"a GPU was requested, but the engine on {cluster} is the one for CPUs: hpcbrew setup {cluster} --gpu "
            "installs the one for GPUs"
        )
    if engine_facts.is_another(facts):
        warn(
            f"the engine on {cluster} is from a different build of hpcbrew, and may not know everything this one "
            f"asks of it: hpcbrew setup {cluster} updates it"
        )
