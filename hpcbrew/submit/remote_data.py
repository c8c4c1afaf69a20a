"""Whether the cluster has the data that a job uses where they lie there."""

from pathlib import PurePosixPath

from hpcbrew.errors import RequestError, TransportError
from hpcbrew.job import JobPlan
from hpcbrew.transports.base import Transport

UNREADABLE = 'n=0; for file; do [ -r "$file" ] || echo "$n"; n=$((n+1)); done'
"""Prints the number, from 0, of each of its arguments that is no file that may be read."""


def check(plan: JobPlan, transport: Transport) -> None:
    """Raises RequestError for the first that cannot be read there, TransportError where that was not told."""
    if not plan.there:
        return
    files = [str(path) for _, path in plan.there]
    answer = transport.run(["sh", "-c", UNREADABLE, "look", *files], PurePosixPath("/"), idempotent=True)
    if answer.status != 0:
        raise TransportError(f"{plan.address.cluster}: whether it has {files[0]} was not told: {answer.err.strip()}")
    lacking = set(answer.out.split())
    for number, (role, path) in enumerate(plan.there):
        if str(number) in lacking:
            raise RequestError(
                f"no {role} at {path}, neither here nor on {plan.address.cluster}, where it may be read: "
                "correct its name, or put it into place"
            )
