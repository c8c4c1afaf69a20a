"""qstat: shows jobs, queues and the server, as a table or in full."""

import sys
import time
from pathlib import Path
from typing import Any

from support.openpbs import queues, schedule, show
from support.openpbs.config import Config
from support.openpbs.errors import FINISHED, NO_HISTORY, UNKNOWN_QUEUE, Refused
from support.openpbs.resources import clock
from support.openpbs.store import Job, State, opened

BLANK = "{:16}  {:16} {:16}  {:>8} {} {:16}"


def main(command: str, folder: Path, config: Config, arguments: list[str]) -> int:
    flags, form, names = _arguments(arguments)
    if "B" in flags or "Q" in flags:
        with opened(folder, config) as state:
            shown, refused = queues.servers(state) if "B" in flags else queues.queues(state, names)
        table = queues.server_table if "B" in flags else queues.queue_table
        key, header = ("Server", "Server: ") if "B" in flags else ("Queue", "Queue: ")
    else:
        with opened(folder, config) as state:
            schedule.advance(state)
            jobs, refused = _jobs(state, flags, names)
        # OpenPBS 23.06's JSON contains only the first of several jobs named; -t counts as a single name.
        if form == "json" and "f" in flags and len(names) > 1:
            jobs = jobs[:1]
        shown = {job.id: _current(job) for job in jobs}
        table, key, header = _table, "Jobs", "Job Id: "
    if "f" in flags and form == "json":
        sys.stdout.write(show.as_json(config, key, shown))
    elif "f" in flags:
        for name, attributes in shown.items():
            sys.stdout.write(show.text(f"{header}{name}", attributes, wide="w" in flags) + "\n")
    elif shown:
        sys.stdout.write(table(shown))
    for one in refused:
        print(one.said, file=sys.stderr)
    return refused[-1].status if refused else 0


def _arguments(arguments: list[str]) -> tuple[set[str], str, list[str]]:
    flags: set[str] = set()
    form, names, words = "", [], list(arguments)
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            flags |= set(word[1:])
            if word.endswith("F"):
                form = words.pop(0)
        else:
            names.append(word)
    return flags, form, names


def _jobs(state: State, flags: set[str], names: list[str]) -> tuple[list[Job], list[Refused]]:
    """The jobs to show, in the order asked for, and the errors. Without names: all jobs, with -x also ended ones."""
    history = "x" in flags
    if history and not state.config.history:
        return [], [Refused(NO_HISTORY, "qstat: PBS is not configured to maintain job history")] * max(1, len(names))
    found: list[Job] = []
    refused: list[Refused] = []
    for name in names:
        try:
            found += _named(state, name, history)
        except Refused as one:
            refused.append(one)
    if not names:
        found = _listed(state, history)
    if "E" in flags:  # a single query for all jobs: unknown ids are reported only if no job is known
        refused = [] if found else refused[-1:]
    if "t" in flags:
        found = [one for job in found for one in [job, *(state.subjobs(job) if job.is_array else [])]]
    return found, refused


def _listed(state: State, history: bool) -> list[Job]:
    return [job for job in state.jobs.values() if "array" not in job.own and (history or job.state != "F")]


def _named(state: State, name: str, history: bool) -> list[Job]:
    if not name[0].isdigit():
        if name not in state.config.queues:
            raise Refused(UNKNOWN_QUEUE, f"qstat: Unknown queue destination {name}")
        return [job for job in _listed(state, history) if job.attributes["queue"] == name]
    job = state.find(name, "qstat")
    if job.state == "F" and not history:
        said = "Job has finished, use -x or -H to obtain historical job information"
        raise Refused(FINISHED, f"qstat: {job.id} {said}")
    return [job]


def _current(job: Job) -> dict[str, Any]:
    """A job's attributes in order, with the walltime used so far by a running job."""
    attributes = dict(job.attributes)
    if job.state == "R" and "resources_used.walltime" in attributes:
        attributes["resources_used.walltime"] = clock(time.time() - attributes["stime"])
    return show.ordered(attributes)


def _table(jobs: dict[str, dict[str, Any]]) -> str:
    rows = [
        "Job id            Name             User              Time Use S Queue",
        f"{'-' * 16}  {'-' * 16} {'-' * 16}",
    ]
    rows[1] += f"  {'-' * 8} - {'-' * 5}"
    for job_id, job in jobs.items():
        user = job["Job_Owner"].partition("@")[0]
        used = job.get("resources_used.cput", "0")
        words = (_short(job_id), _short(job["Job_Name"]), _short(user), used, job["job_state"], job["queue"])
        rows.append(BLANK.format(*words))
    return "\n".join(rows) + "\n"


def _short(word: str) -> str:
    return word if len(word) <= 16 else f"{word[:15]}*"
