"""Checks that the cluster has the data which a job uses in place there."""

from pathlib import PurePosixPath

from hpcbrew.errors import RequestError, TransportError
from hpcbrew.job import JobPlan
from hpcbrew.transports.base import Transport

UNREADABLE = 'n=0; for file; do [ -r "$file" ] || echo "$n"; n=$((n+1)); done'
"""Prints the index, from 0, of each argument that is not a readable file."""


def check(plan: JobPlan, transport: Transport) -> None:
    """Raises RequestError for the first file that cannot be read there, TransportError if the cluster does not say."""
    if not plan.files_on_cluster:
        return
    files = [str(path) for _, path in plan.files_on_cluster]
    answer = transport.run(["sh", "-c", UNREADABLE, "look", *files], PurePosixPath("/"), idempotent=True)
    if answer.status != 0:
        raise TransportError(f"{plan.address.cluster}: could not check for {files[0]}: {answer.err.strip()}")
    lacking = set(answer.out.split())
    for number, (role, path) in enumerate(plan.files_on_cluster):
        if str(number) in lacking:
            raise RequestError(
                f"no readable {role} at {path}, neither here nor on {plan.address.cluster}: "
                "correct its name, or put it in place"
            )
