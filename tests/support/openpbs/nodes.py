"""pbsnodes -a: the node on which all jobs run, and idle nodes."""

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
        nodes = {config.node: _node(state, config.node, jobs, {"resources_assigned": assigned})}
        nodes |= {name: _node(state, name, "", {"resources_assigned": {}}) for name in config.spare}
        sys.stdout.write(show.as_json(config, "nodes", nodes))
        return 0
    for name in (config.node, *config.spare):
        taken = used if name == config.node else dict.fromkeys(used, 0)
        amounts = {
            "accelerator_memory": "0kb",
            "hbmem": "0kb",
            "mem": "0kb",
            "naccelerators": 0,
            **taken,
            "vmem": "0kb",
        }
        assigned = {f"resources_assigned.{resource}": amount for resource, amount in amounts.items()}
        held = jobs if name == config.node else ""
        sys.stdout.write(show.text(name, _node(state, name, held, assigned), indent=5) + "\n")
    return 0


def _node(state: State, name: str, jobs: str, assigned: dict[str, Any]) -> dict[str, Any]:
    config, now = state.config, time.time()
    available = {
        "arch": "linux", "host": name, "mem": "24683656kb", "ncpus": config.ncpus, "ngpus": config.ngpus,
        "vnode": name,
    }  # fmt: skip
    return {
        "Mom": name,
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
