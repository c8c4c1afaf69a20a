"""A cluster's node, as far as a job script can tell."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hpcbrew.address import Address
from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.job import JobRecord, JobRequest, JobState, JobStatus, new_token
from hpcbrew.plan.build import plan_job
from hpcbrew.plan.hardware import Machine
from hpcbrew.schedulers.pbs import QstatReport
from hpcbrew.track.run_folder import ExitRecord, read_exit
from hpcbrew.track.status import judge

NOBODY = QstatReport({}, frozenset({"11.pbs01"}))


@dataclass
class Node:
    """A run folder on scratch, with an engine beside it, and PBS's commands in a folder that need not be on PATH."""

    folder: Path
    model: Path

    @property
    def pbs(self) -> Path:
        return self.folder / "pbs"

    @property
    def run_folder(self) -> Path:
        return self.folder / "runs" / "tiny-1"

    def command(self, path: Path, body: str) -> None:
        """Writes a program. `{called}` in its body stands for a file that `called` reads."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{body.format(called=self.folder / path.name)}\n")
        path.chmod(0o755)

    def run(self, job_id: str = "11.pbs01", *, engine: str = "exit 75", path: str = "", **request: object) -> int:
        """Runs a job and returns its exit status."""
        self.submit(engine, **request)
        return self.start(job_id, path)

    def submit(self, engine: str, **request: object) -> None:
        """Puts the script and files of such a job in place."""
        profile = Cluster.model_validate({**profiles.values("openpbs"), "name": "there", "host": "there"})
        asked = JobRequest(self.model / "solver.prototxt", **request)  # type: ignore[arg-type]
        made = plan_job(asked, profile, Machine(1, 0), new_token())
        self.command(self.folder / "engine" / "bin" / "caffe", engine)
        (self.run_folder / "snapshots").mkdir(parents=True, exist_ok=True)
        (self.run_folder / "job.pbs").write_text(made.script)

    def start(self, job_id: str = "11.pbs01", path: str = "") -> int:
        """Runs the script that was put in place and returns its exit status."""
        found = {"PATH": f"{path or self.pbs}:/usr/bin:/bin", "PBS_O_PATH": f"{self.pbs}:/usr/bin:/bin"}
        seen = {**os.environ, **found, "PBS_O_WORKDIR": str(self.run_folder), "PBS_JOBID": job_id}
        return subprocess.run(["bash", self.run_folder / "job.pbs"], env=seen, check=False).returncode

    def called(self, command: str) -> list[str]:
        """The arguments of each call of `command`."""
        path = self.folder / command
        return path.read_text().splitlines() if path.exists() else []

    def lines(self, name: str) -> list[str]:
        path = self.run_folder / name
        return path.read_text().splitlines() if path.exists() else []

    @property
    def exit(self) -> ExitRecord | None:
        path = self.run_folder / "exit.json"
        return read_exit(path.read_bytes()) if path.exists() else None

    @property
    def status(self) -> JobStatus:
        """The job as `hpcbrew status` shows it once PBS has forgotten it."""
        running = JobStatus(JobState.RUNNING)
        folder = PurePosixPath(self.run_folder)
        record = JobRecord("1", "tiny", Address("there", "ssh", "pbs"), "s", 0.0, folder, running, "11.pbs01")
        return judge(record, self.exit, NOBODY)
