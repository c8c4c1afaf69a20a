"""qselect: the ids of matching jobs, one per line."""

import sys
from pathlib import Path

from support.openpbs import schedule
from support.openpbs.config import Config
from support.openpbs.errors import Refused
from support.openpbs.store import opened


def main(command: str, folder: Path, config: Config, arguments: list[str]) -> int:
    """-u and -N select by owner and name. -x includes ended jobs; if history is off, it says so, with exit status 0."""
    history = "-x" in arguments
    words = [word for word in arguments if word != "-x"]
    chosen = dict(zip(words[::2], words[1::2], strict=True))
    if history and not config.history:
        raise Refused(0, "qselect: PBS is not configured to maintain job history")
    with opened(folder, config) as state:
        schedule.advance(state)
        for job in state.jobs.values():
            name, owner = job.attributes["Job_Name"], str(job.attributes["Job_Owner"]).partition("@")[0]
            if (owner, name) != (chosen.get("-u", owner), chosen.get("-N", name)):
                continue
            if "array" not in job.own and (history or job.state != "F"):
                sys.stdout.write(f"{job.id}\n")
    return 0
