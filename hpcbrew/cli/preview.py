"""Shows a plan for `submit --dry-run`."""

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby

from engine.units import short_size
from hpcbrew.cli.output import wrapped
from hpcbrew.job import JobPlan, Upload
from hpcbrew.units import clock, count

SHOWN = 8  # the most files of one folder that are listed one by one


def commands(plan: JobPlan) -> list[str]:
    """Returns the commands as they would be given to a shell on the cluster."""
    folder = _on_cluster(plan, str(plan.run_folder))
    return [f"cd {folder} && {shlex.join(plan.command)}"]


def as_json(plan: JobPlan) -> dict[str, object]:
    """Returns the object that `--dry-run --json` prints."""
    return {
        "token": plan.token,
        "name": plan.name,
        "cluster": plan.address.cluster,
        "scratch": plan.scratch,
        "run_folder": str(plan.run_folder),
        "resources": asdict(plan.resources),
        "max_iter": plan.max_iter,
        **({"iteration_memory": plan.memory} if plan.memory else {}),
        **({"snapshots": plan.snapshots} if plan.snapshots else {}),
        "gpu_hours": gpu_hours(plan),
        "script": plan.script,
        "files": [
            {
                "target": str(upload.target),
                "source": str(upload.source) if upload.source else None,
                "size": upload.size,
                "sha256": upload.sha256,
            }
            for upload in (*plan.definitions, *plan.data)
        ],
        **(
            {"used_there": [{"role": role, "path": str(path)} for role, path in plan.files_on_cluster]}
            if plan.files_on_cluster
            else {}
        ),
        "commands": commands(plan),
        "lacks": plan.missing or None,
        "warnings": list(plan.warnings),
        **({"unknown": list(plan.unknown)} if plan.unknown else {}),
    }


def as_text(plan: JobPlan, *, full: bool = False) -> str:
    """Returns the summary; if `full`, also the script, all files and the commands, each under a heading; and at the end
    the warnings, what is not known, and what is missing."""
    details = _details(plan) if full else [wrapped("--full also shows the job script, all files and the commands.")]
    ends = [
        *(f"Warning: {words}" for words in plan.warnings),
        *(f"Not known: {words}" for words in plan.unknown),
        *([f"This cannot be submitted yet. {plan.missing}"] if plan.missing else []),
    ]
    return "\n".join([*summary(plan), *details, "Nothing was sent or submitted.", *map(wrapped, ends)])


def summary(plan: JobPlan) -> Iterator[str]:
    """Yields a line each for what the job is, what it gets, what it may cost, and what is sent."""
    jobs = f"{plan.points} jobs, " if plan.points else ""
    yield wrapped(f"{plan.name} on {plan.address.cluster}: {jobs}{count(plan.max_iter, 'iteration')}")
    rows = {"resources": resources(plan), "limits": _limits(plan), "cost": _cost(plan)}
    if plan.memory:
        rows["memory"] = f"an iteration takes about {short_size(plan.memory)} or more"
    if plan.snapshots:
        rows["snapshots"] = f"they take about {short_size(plan.snapshots)} on scratch"
    rows["files"] = _sent(plan)
    if plan.files_on_cluster:
        files = "; ".join(f"{role}: {path}" for role, path in plan.files_on_cluster)
        rows["used there"] = f"{files}. Not on this machine; checked on {plan.address.cluster} before anything is sent"
    rows |= {"run folder": f"{plan.scratch.rstrip('/') or 'local'}/{plan.run_folder}"}
    for head, words in rows.items():
        yield wrapped(f"  {head:<12}{words}", indent=14)


def resources(plan: JobPlan) -> str:
    """Returns what each job gets: `2 nodes, each with 4 cores, 1 GPU, 24 GiB of memory`."""
    per_job = plan.resources
    each = [count(per_job.cpus, "core")]
    each += [count(per_job.gpus, "GPU")] if per_job.gpus else []
    each += [f"{short_size(per_job.mem)} of memory"] if per_job.mem else []
    each += [f"{key}={value}" for key, value in per_job.select.items()]
    return f"{count(per_job.nodes, 'node')}{', each' if per_job.nodes > 1 else ''} with {', '.join(each)}"


def _limits(plan: JobPlan) -> str:
    per_job = plan.resources
    words = [f"walltime {clock(per_job.walltime)}"]
    words += [f"queue {per_job.queue}"] if per_job.queue else []
    words += [f"project {per_job.project}"] if per_job.project else []
    if plan.links != 1:
        words.append("as many successive jobs as it takes" if plan.links is None else f"{plan.links} jobs")
    return ", ".join(words)


def gpu_hours(plan: JobPlan) -> float:
    """Returns the GPU hours if every job uses up its walltime: of all points of a sweep, and of all links of a chain
    whose length is known."""
    return plan.resources.gpus * _node_hours(plan)


def _node_hours(plan: JobPlan) -> float:
    per_job = plan.resources
    return per_job.nodes * per_job.walltime / 3600 * (plan.points or 1) * (plan.links or 1)


def _cost(plan: JobPlan) -> str:
    hours, unit = gpu_hours(plan), "GPU"
    if not hours:
        hours, unit = plan.resources.cpus * _node_hours(plan), "core"
    number = f"{hours:,.0f}" if hours >= 1000 else f"{max(hours, 0.01):.4g}"
    return f"at most {number} {unit} hours{' for each of its jobs' if plan.links is None else ''}"


def _sent(plan: JobPlan) -> str:
    """Describes the files by role. Each role is named once, wherever its files are in the list."""
    groups: dict[str, list[int]] = {"made here": [upload.size for upload in plan.definitions]}
    for upload in plan.data:
        groups.setdefault(upload.role, []).append(upload.size)
    words = [f"{role}: {count(len(sizes), 'file')}, {short_size(sum(sizes))}" for role, sizes in groups.items()]
    return f"{'; '.join(words)}{'. Data already on the cluster (by digest) are not sent again' if plan.data else ''}"


def _details(plan: JobPlan) -> list[str]:
    return [
        "",
        "# Job script",
        plan.script,
        "# Files",
        *_files((*plan.definitions, *plan.data)),
        "",
        "# Commands on the cluster",
        *commands(plan),
        "",
    ]


def _files(uploads: tuple[Upload, ...]) -> Iterator[str]:
    for folder, group in groupby(uploads, key=lambda upload: upload.target.parts[:2]):
        several = list(group)
        for upload in several[:SHOWN]:
            origin = f"← {upload.source}" if upload.source else "(made here)"
            yield f"{upload.sha256}  {short_size(upload.size):>10}  {upload.target}  {origin}"
        if rest := several[SHOWN:]:
            size = short_size(sum(u.size for u in rest))
            yield f"… and {len(rest)} more files, {size}, below {'/'.join(folder)} (--json lists all)"


def _on_cluster(plan: JobPlan, path: str) -> str:
    """Quotes a path on scratch for the cluster's shell. `scratch` may hold `~` or a variable for that shell to expand;
    nothing else in it is special there."""
    scratch = plan.scratch.replace("~", "$HOME", 1) if plan.scratch.startswith("~") else plan.scratch
    return f'"{scratch}"/{shlex.quote(path)}' if scratch else shlex.quote(path)
