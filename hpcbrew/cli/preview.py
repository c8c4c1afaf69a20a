"""A plan, as `submit --dry-run` shows it."""

import shlex
from collections.abc import Iterator
from itertools import groupby

from engine.units import short_size
from hpcbrew.job import JobPlan, Upload

SHOWN = 8  # files of one folder that are listed one by one


def commands(plan: JobPlan) -> list[str]:
    """The commands as a shell on the cluster would be given them."""
    folder = _on_cluster(plan, str(plan.run_folder))
    return [f"cd {folder} && {shlex.join(plan.command)}"]


def as_json(plan: JobPlan) -> dict[str, object]:
    """The object that `--dry-run --json` prints."""
    return {
        "token": plan.token,
        "name": plan.name,
        "cluster": plan.address.cluster,
        "scratch": plan.scratch,
        "run_folder": str(plan.run_folder),
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
        "commands": commands(plan),
        "lacks": plan.missing or None,
        **({"unknown": list(plan.unknown)} if plan.unknown else {}),
    }


def as_text(plan: JobPlan) -> str:
    """Script, files and commands, each under a heading."""
    uploads = (*plan.definitions, *plan.data)
    total = short_size(sum(upload.size for upload in uploads))
    where = plan.scratch or "its data folder"
    return "\n".join(
        [
            f"# Job script of {plan.name} on {plan.address.cluster}",
            plan.script,
            f"# Files to ship to {where}: {len(uploads)}, {total}; what is there already (by digest) is not sent again",
            *_files(uploads),
            "",
            "# Commands there",
            *commands(plan),
            "",
            "# Nothing was sent, nothing submitted.",
            *(f"# Not known: {words}" for words in plan.unknown),
            *([f"# To be submitted it lacks something. {plan.missing}"] if plan.missing else []),
        ]
    )


def _files(uploads: tuple[Upload, ...]) -> Iterator[str]:
    for folder, group in groupby(uploads, key=lambda upload: upload.target.parts[:2]):
        several = list(group)
        for upload in several[:SHOWN]:
            origin = f"← {upload.source}" if upload.source else "(made here)"
            yield f"{upload.sha256}  {short_size(upload.size):>10}  {upload.target}  {origin}"
        if rest := several[SHOWN:]:
            size = short_size(sum(u.size for u in rest))
            yield f"… and {len(rest)} more files, {size}, below {'/'.join(folder)} (all of them: --json)"


def _on_cluster(plan: JobPlan, path: str) -> str:
    """Scratch may hold `~` or a variable for the cluster's shell to put in; nothing else in it is special there."""
    scratch = plan.scratch.replace("~", "$HOME", 1) if plan.scratch.startswith("~") else plan.scratch
    return f'"{scratch}"/{shlex.quote(path)}' if scratch else shlex.quote(path)
