"""A cluster behind a real SSH server, with its own PBS: the stand-in in support/openpbs."""

import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import TransportError
from hpcbrew.job import JobPlan, JobRecord, JobRequest, JobState, new_token
from hpcbrew.plan.build import plan_job
from hpcbrew.plan.hardware import Machine
from hpcbrew.schedulers.pbs import Pbs
from hpcbrew.submit.submit import submit
from hpcbrew.track import refresh
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.refresh import Site, TrackedJob
from hpcbrew.transports.paramiko_ssh import Ssh
from hpcbrew.transports.prompt import Unattended
from support import sshd, standin
from support.until import until


class Counted(Ssh):
    """Counts round trips. `cut_after`: a word; the connection breaks after a command that contains it has run."""

    trips = 0
    cut_after: str | None = None
    cut_now = False

    def run(self, command, folder, **how):
        self.cut_now = bool(self.cut_after) and self.cut_after in " ".join(command)
        return super().run(command, folder, **how)

    def _channel(self, command, *how):
        self.trips += 1
        answer = super()._channel(command, *how)
        if self.cut_now:
            self.cut_now, self.cut_after = False, None
            self.close()
            raise TransportError("cluster: the connection was cut", retryable=True)
        return answer


@dataclass
class RemoteCluster:
    """The cluster's home folder on this machine, its PBS, and how to reach it. `ssh`: a folder to put on PATH, with an
    ssh that knows the cluster by name, for programs that connect by themselves."""

    home: Path
    pbs: standin.Standin
    transport: Counted
    profile: Cluster
    ledger: Ledger
    cut: Callable[[], None]
    ssh: Path

    @property
    def site(self) -> Site:
        return Site(self.transport, Pbs())

    def engine(self, body: str) -> None:
        """Replaces the engine by a script, for tests of the job script around it."""
        self.script("scratch/engine/bin/caffe", body)

    def script(self, name: str, body: str) -> None:
        """Writes a script into the cluster's home folder; those in bin are on its PATH."""
        path = self.home / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def plan(self, model: Path, **request: object) -> JobPlan:
        asked = JobRequest(model / "solver.prototxt", **request)  # type: ignore[arg-type]
        return plan_job(asked, self.profile, Machine(1, 0), new_token())

    def submit(self, model: Path, **request: object) -> JobRecord:
        return self.send(self.plan(model, **request))

    def send(self, plan: JobPlan) -> JobRecord:
        return submit(plan, "solver.prototxt", self.transport, Pbs(), self.ledger, lambda size: None)

    def look(self, record: JobRecord) -> TrackedJob:
        return refresh.look(self.site, [record], self.ledger)[0]

    def until(self, *states: JobState, record: JobRecord | None = None) -> TrackedJob:
        """Polls until `record`'s job, or the newest one, is in one of `states`."""

        def look() -> TrackedJob | None:
            tracked = self.look(record or self.ledger.all()[-1])
            if tracked.record.status.state in states:
                return tracked
            assert not tracked.record.status.state.final, tracked
            return None

        return until(look, 120)  # type: ignore[return-value]


SYSTEM = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

GREETING = r"""
echo Welcome to the cluster
printf '\033]0;%s\007' "$HOSTNAME"
"""


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[RemoteCluster]:
    """Only login shells find PBS, and never that of the tests' own machine. They print a greeting and, with no line
    break after it, a window's title. All tests share what the engine compiles."""
    home = folder / "there"
    (home / "scratch" / "engine" / "bin").mkdir(parents=True)
    (home / "scratch" / "engine" / "bin" / "python").symlink_to(sys.executable)
    cache = {name: value for name, value in os.environ.items() if name.startswith("JAX_")}
    compiled = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in cache.items())
    (home / ".bash_profile").write_text(f"export PATH={home}/bin:{SYSTEM}\n{compiled}{GREETING}")
    (folder / "sshd").mkdir()
    with (
        sshd.serve(folder / "sshd", f"SetEnv HOME={home}") as server,
        standin.installed(home / "bin", folder / "pbs") as pbs,
    ):
        server.put_client(folder / "ssh")
        transport = Counted("cluster", Unattended(), server.resolve)
        values = {**profiles.values("openpbs"), "name": "there", "host": "cluster", "gpus_per_node": 0}
        profile = Cluster.model_validate(values)
        remote = RemoteCluster(home, pbs, transport, profile, Ledger(), server.cut, folder / "ssh")
        remote.engine(f'exec {shlex.quote(sys.executable)} -P -m engine.cli "$@"')
        yield remote
        transport.close()
