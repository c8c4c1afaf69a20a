"""What a job is called where the user gives it no name."""

import re
from pathlib import Path

from hpcbrew import layout
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import RequestError
from hpcbrew.job import NAME, JobRequest
from hpcbrew.plan.manifest import Manifest

LONGEST = 40

SAYS_NOTHING = frozenset(
    {
        *(
            "",
            "caffe",
            "deploy",
            "finetune",
            "model",
            "models",
            "net",
            "network",
            "proto",
            "prototxt",
            "solver",
            "test",
        ),
        *("train", "trainval", "train_val", "training", "val", "untitled", "unnamed", "my", "the", "main"),
    }
)
"""Words that tell no net from another."""


def job_name(request: JobRequest, manifest: Manifest, cluster: Cluster) -> str:
    """The job's name: as asked, or else made of the net's name and the solver's file; of `request.taken` it is none.

    Raises RequestError for one that the scheduler does not take.
    """
    if request.name is not None:
        if not NAME.fullmatch(request.name) or len(request.name) > cluster.name_length:
            raise RequestError(
                f"--name {request.name!r}: a job's name starts with a letter, has only letters, digits and _ . + -, "
                f"and has at most {cluster.name_length} characters on {cluster.name}"
            )
        return request.name
    nets = [message.name for key, message in manifest.definitions.items() if key != layout.SOLVER and message.name]  # type: ignore[union-attr]
    words = _clean(told_apart(nets[0] if nets else "", manifest.solver_path))
    longest = min(cluster.name_length, LONGEST)
    name = (words if NAME.fullmatch(words) else f"job-{words}".rstrip("-"))[:longest].rstrip("-")
    return _free(name, request.taken, longest)


def told_apart(net: str, solver: Path) -> str:
    """The net's name, and what the solver's file name says beyond it: `lenet-full` for `solver_full.prototxt`. A net
    whose name says nothing has its folder's, as `net` of `cats/solver.prototxt`."""
    named = net if _clean(net) not in SAYS_NOTHING else solver.parent.name
    base = _clean(named if _clean(named) not in SAYS_NOTHING else "")
    further = [w for w in re.split(r"[^a-z0-9.]+", solver.stem.lower()) if w not in SAYS_NOTHING and w not in base]
    return "-".join(filter(None, (base, *further))) or _clean(net) or _clean(solver.parent.name) or solver.stem


def _clean(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", name).strip("-.").lower()


def _free(name: str, taken: frozenset[str], longest: int) -> str:
    """The name, with a number behind it where another job has it: `lenet-2`."""
    number, free = 1, name
    while free in taken:
        number += 1
        ending = f"-{number}"
        free = name[: longest - len(ending)] + ending
    return free
