"""config.json in the state folder: the site's properties, and the oddities that a test has switched on."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

QUEUES: dict[str, dict[str, Any]] = {
    "workq": {},
    "gpu": {"Priority": 100, "resources_max.ngpus": 2, "resources_max.walltime": "168:00:00"},
    "low": {"Priority": 10, "resources_default.walltime": "01:00:00"},
    "stopped": {"started": "False"},
    "disabled": {"enabled": "False"},
    "staff": {"acl_user_enable": "True", "acl_users": "root"},
}


@dataclass(frozen=True)
class Config:
    """`spare`: nodes like `node` on which nothing runs. `down`: the server does not answer. `hang`, `slow`, `noise`,
    `farewell`: commands that never answer, answer after some seconds, or print a text first or last. `history`: ended
    jobs are remembered. Times in seconds: `kill_delay`, from qdel's SIGTERM to SIGKILL; `poll`, between checks of a
    job's limits; `stageout`, spent on output that cannot be delivered.
    """

    server: str = "pbs01"
    node: str = field(default_factory=lambda: os.uname().nodename)
    spare: tuple[str, ...] = ()
    ncpus: int = 8
    ngpus: int = 2
    first: int = 1
    resources: tuple[str, ...] = ()
    queues: dict[str, dict[str, Any]] = field(default_factory=lambda: QUEUES)
    history: bool = True
    down: bool = False
    hang: tuple[str, ...] = ()
    slow: dict[str, float] = field(default_factory=dict)
    noise: dict[str, str] = field(default_factory=dict)
    farewell: dict[str, str] = field(default_factory=dict)
    kill_delay: float = 10.0
    poll: float = 1.0
    stageout: float = 30.0


def read(folder: Path) -> Config:
    path = folder / "config.json"
    return Config(**json.loads(path.read_text())) if path.exists() else Config()
