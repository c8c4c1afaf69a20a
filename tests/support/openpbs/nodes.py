"""pbsnodes -a: the one node that there is."""

import sys
import time
from pathlib import Path
from typing import Any

from support.openpbs import schedule, show
from support.openpbs.config import Config
from support.openpbs.store import State, opened


def main(command: str, folder: Path, config: Config, arguments: list[str]) -> int:
    with opened(folder, config) as state:
        used = schedule.taken(state)
        running = [(job, slots) for job in state.jobs.values() if job.state in ("R", "E") for slots in job.own["slots"]]
        jobs = ", ".join(f"{job.id}/{n}" for job, slots in running for n in slots)
    if "json" in arguments:
        assigned = {name: amount for name, amount in used.items() if amount}
        node = _node(state, jobs, {"resources_assigned": assigned})
        sys.stdout.write(show.as_json(config, "nodes", {config.node: node}))
        return 0
    amounts = {"accelerator_memory": "0kb", "hbmem": "0kb", "mem": "0kb", "naccelerators": 0, **used, "vmem": "0kb"}
    assigned = {f"resources_assigned.{name}": amount for name, amount in amounts.items()}
    sys.stdout.write(show.text(config.node, _node(state, jobs, assigned), indent=5) + "\n")
    return 0


def _node(state: State, jobs: str, assigned: dict[str, Any]) -> dict[str, Any]:
    config, now = state.config, time.time()
    available = {
        "arch": "linux", "host": config.node, "mem": "24683656kb", "ncpus": config.ncpus, "ngpus": config.ngpus,
        "vnode": config.node,
    }  # fmt: skip
    return {
        "Mom": config.node,
        "ntype": "PBS",
        "state": "free",
        "pcpus": 2,
        **({"jobs": jobs} if jobs else {}),
        **{f"resources_available.{name}": value for name, value in available.items()},
        **assigned,
        "resv_enable": "True",
        "sharing": "default_shared",
        "license": "l",
        "last_state_change_time": now,
        "last_used_time": now,
    }
