"""The name of a job, made up if the user gives none."""

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
"""Words that do not distinguish one net from another."""


def job_name(request: JobRequest, manifest: Manifest, cluster: Cluster) -> str:
    """Returns the job's name: the requested one, or one made from the net's name and the solver's file name that is not
    in `request.names_in_use`.

    Raises RequestError for a name that the scheduler does not accept.
    """
    if request.name is not None:
        if not NAME.fullmatch(request.name) or len(request.name) > cluster.name_length:
            raise RequestError(
                f"--name {request.name!r}: a job name must start with a letter, contain only letters, digits and "
                f"_ . + -, and on {cluster.name} have at most {cluster.name_length} characters"
            )
        return request.name
    nets = [message.name for key, message in manifest.definitions.items() if key != layout.SOLVER and message.name]  # type: ignore[union-attr]
    words = _clean(told_apart(nets[0] if nets else "", manifest.solver_path))
    longest = min(cluster.name_length, LONGEST)
    name = (words if NAME.fullmatch(words) else f"job-{words}".rstrip("-"))[:longest].rstrip("-")
    return _free(name, request.names_in_use, longest)


def told_apart(net: str, solver: Path) -> str:
    """Returns the net's name and what the solver's file name adds to it: `lenet-full` for `solver_full.prototxt`. If
    the net's name says nothing, such as `net`, its folder's name is used: `cats` for `cats/solver.prototxt`."""
    name = net if _clean(net) not in SAYS_NOTHING else solver.parent.name
    base = _clean(name if _clean(name) not in SAYS_NOTHING else "")
    further_words = [
        w for w in re.split(r"[^a-z0-9.]+", solver.stem.lower()) if w not in SAYS_NOTHING and w not in base
    ]
    return "-".join(filter(None, (base, *further_words))) or _clean(net) or _clean(solver.parent.name) or solver.stem


def _clean(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", name).strip("-.").lower()


def _free(name: str, names_in_use: frozenset[str], longest: int) -> str:
    """Returns the name, with a number appended if another job has it: `lenet-2`."""
    number, candidate = 1, name
    while candidate in names_in_use:
        number += 1
        ending = f"-{number}"
        candidate = name[: longest - len(ending)] + ending
    return candidate
