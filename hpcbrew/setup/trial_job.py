"""A job of one minute, sent like any other: it proves queue, project, folders and engine in one go."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import RequestError, TransportError
from hpcbrew.job import JobRecord, JobRequest, new_token
from hpcbrew.plan import hardware
from hpcbrew.plan.build import plan_job
from hpcbrew.submit.submit import submit
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import Site
from hpcbrew.transports.base import Transport

NAME = "hpcbrew-setup"
WALLTIME = 10 * 60  # the training takes seconds; the rest is for a slow file system to load the libraries from
MEMORY = 4 * 2**30

# The data are generated: nothing is sent.
NET = """\
name: "setup"
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param {
    shape { dim: 16 dim: 8 }
    shape { dim: 16 }
    data_filler { type: "gaussian" }
    data_filler { type: "constant" }
  }
}
layer {
  name: "ip"
  type: "InnerProduct"
  bottom: "data"
  top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = """\
net: "net.prototxt"
base_lr: 0.1
lr_policy: "fixed"
display: 10
max_iter: 50
snapshot_prefix: "setup"
"""


Follow = Callable[[JobRecord, Site, Ledger], int]
"""Follows a job until it ends, and returns its exit status."""


def run(
    transport: Transport, cluster: Cluster, *, gpu: bool, queue: str | None, project: str | None, follow: Follow
) -> None:
    """Submits the trial job and follows it until it ends.

    Raises RequestError if the profile does not allow it or a project is missing, SchedulerError if the scheduler
    refuses it, TransportError if it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        solver = Path(folder) / "solver.prototxt"
        solver.write_text(SOLVER)
        (Path(folder) / "net.prototxt").write_text(NET)
        request = JobRequest(
            solver,
            gpus_per_node=int(gpu),
            cpus=1,
            mem=MEMORY,
            walltime=WALLTIME,
            queue=queue,
            project=project,
            name=NAME,
        )
        plan = plan_job(request, cluster, hardware.here(), new_token())
    if plan.missing:
        raise RequestError(plan.missing.replace("submit …", f"setup {cluster.name}"))
    site, ledger = Site(transport, refresh.reach(plan.address).scheduler), Ledger()
    record = submit(plan, NAME, transport, site.scheduler, ledger, lambda size: None)
    status = follow(record, site, ledger)
    if status != 0:
        raise TransportError(
            f"the trial job {record.id} failed (exit status {status}): hpcbrew logs {record.id}; "
            f"its run folder is {record.run_folder}"
        )
