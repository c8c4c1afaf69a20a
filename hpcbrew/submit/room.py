"""Checks that the cluster has nodes large enough for a job, and enough of them: PBS accepts a job that does not fit,
and lets it wait forever."""

import contextlib
from pathlib import PurePosixPath

from engine.units import short_size
from hpcbrew.errors import RequestError, SchedulerError, Unanswered
from hpcbrew.job import JobPlan
from hpcbrew.schedulers import pbs_site
from hpcbrew.transports.base import Transport

IDLE_TIMEOUT = 10.0
"""Seconds for which pbsnodes may be silent: submitting does not depend on its answer."""

GPUS = ("GPUs", "--gpus-per-node")
ASKED = {"ncpus": ("cores", "--cpus"), "ngpus": GPUS, "naccelerators": GPUS, "mem": ("memory", "--mem")}


def check(plan: JobPlan, transport: Transport) -> None:
    """Lists the cluster's nodes if the plan says what one of them has to hold. Raises RequestError if none can, or too
    few; if that cannot be known, PBS is left to judge."""
    if not plan.chunk:
        return
    with contextlib.suppress(SchedulerError, Unanswered):
        answer = transport.run(pbs_site.NODES, PurePosixPath("/"), idempotent=True, idle_timeout=IDLE_TIMEOUT)
        nodes = pbs_site.parse_nodes(answer)
        if largest := pbs_site.largest(nodes, plan.chunk):
            raise RequestError(_refusal(plan, largest))
        machines = pbs_site.machines(nodes, plan.chunk)
        if machines is not None and machines < plan.hosts:
            raise RequestError(
                f"{plan.address.cluster}: {plan.hosts} nodes were requested (--nodes), but only {machines} are large "
                "enough: the job would wait forever. Ask for fewer nodes, or for less on each"
            )


def _refusal(plan: JobPlan, largest: dict[str, int]) -> str:
    chunk = plan.chunk or {}
    kinds = [f"{name}={value}" for name, value in chunk.items() if name not in largest and name not in ASKED]
    faults = []
    for name, most in largest.items():
        noun, flag = ASKED.get(name, (name, "resources or gpu_types in the profile"))
        if (pbs_site.amount(chunk[name]) or 0) > most:
            limit = str(most) if chunk[name].isdecimal() else short_size(most)
            faults.append(f"{chunk[name]} {noun} requested, {limit} available at most ({flag})")
    of_kind = f" with {', '.join(kinds)}" if kinds else ""
    reason = "; ".join(faults) or f"none has all of {', '.join(f'{n}={chunk[n]}' for n in largest)} at once"
    return (
        f"{plan.address.cluster}: no node{of_kind} is large enough, and the job would wait forever: {reason}. "
        "Ask for less on each node, or for more nodes with --nodes"
    )
