"""Whether the cluster has nodes large enough for a job, and enough of them: PBS takes a job that they cannot hold, and
lets it wait for ever."""

import contextlib
from pathlib import PurePosixPath

from engine.units import short_size
from hpcbrew.errors import RequestError, SchedulerError, Unanswered
from hpcbrew.job import JobPlan
from hpcbrew.schedulers import pbs_site
from hpcbrew.transports.base import Transport

IDLE_TIMEOUT = 10.0
"""Seconds that pbsnodes may be silent: what it says is not needed to submit."""

GPUS = ("GPUs", "--gpus-per-node")
ASKED = {"ncpus": ("cores", "--cpus"), "ngpus": GPUS, "naccelerators": GPUS, "mem": ("memory", "--mem")}


def check(plan: JobPlan, transport: Transport) -> None:
    """Asks for the nodes, where the plan says what one of them has to hold. Raises RequestError where none can; where
    that cannot be known, PBS is left to judge."""
    if not plan.chunk:
        return
    with contextlib.suppress(SchedulerError, Unanswered):
        answer = transport.run(pbs_site.NODES, PurePosixPath("/"), idempotent=True, idle_timeout=IDLE_TIMEOUT)
        nodes = pbs_site.parse_nodes(answer)
        if largest := pbs_site.largest(nodes, plan.chunk):
            raise RequestError(_refusal(plan, largest))
        there = pbs_site.machines(nodes, plan.chunk)
        if there is not None and there < plan.hosts:
            raise RequestError(
                f"{plan.address.cluster}: {plan.hosts} nodes were asked for (--nodes), and there are {there} that are "
                "large enough: the job would wait for ever. Ask for fewer of them, or for less of each"
            )


def _refusal(plan: JobPlan, largest: dict[str, int]) -> str:
    chunk = plan.chunk or {}
    kinds = [f"{name}={asked}" for name, asked in chunk.items() if name not in largest and name not in ASKED]
    faults = []
    for name, most in largest.items():
        what, flag = ASKED.get(name, (name, "resources or gpu_types in the profile"))
        if (pbs_site.amount(chunk[name]) or 0) > most:
            shown = str(most) if chunk[name].isdecimal() else short_size(most)
            faults.append(f"{chunk[name]} {what} asked for, and {shown} at most ({flag})")
    of_kind = f" of those with {', '.join(kinds)}" if kinds else ""
    why = "; ".join(faults) or f"none has all of {', '.join(f'{n}={chunk[n]}' for n in largest)} at once"
    return (
        f"{plan.address.cluster}: no node there{of_kind} is large enough, and the job would wait for ever: {why}. "
        "Ask for less of each node, or for more nodes with --nodes"
    )
