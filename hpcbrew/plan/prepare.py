"""The last step before a plan: measures what is to be shipped, and gives the job its token."""

import secrets

from hpcbrew.clusters.profiles import Cluster
from hpcbrew.job import JobPlan, JobRequest
from hpcbrew.plan import build as planning
from hpcbrew.plan.digests import measure
from hpcbrew.plan.manifest import Manifest
from hpcbrew.plan.resources import Resources


def plan(request: JobRequest, cluster: Cluster, manifest: Manifest, settled: Resources) -> JobPlan:
    """A job on this machine uses its data where they lie; for any other cluster they are measured, to be shipped."""
    items = () if cluster.transport == "local" else manifest.items
    measured = {item: measure(item) for item in items}
    return planning.plan(request, cluster, manifest, settled, measured, secrets.token_hex(4))
