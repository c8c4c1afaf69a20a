"""The job script on several nodes: two, on this machine, as a launcher starts them."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from engine.job_contract import ExitCode
from hpcbrew import layout
from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.job import JobRequest, new_token
from hpcbrew.plan.build import plan_job
from hpcbrew.plan.hardware import Machine
from hpcbrew.track import run_folder

SYSTEM = "/usr/bin:/bin"

# As PBS's own: the environment of the job's script is not handed on.
LAUNCHER = """\
#!/bin/bash
echo "$*" >>{calls}
shift 3
exec env -i HOME="$HOME" PATH=/usr/bin:/bin PBS_ENVIRONMENT=PBS_BATCH "$@"
"""
# Says how it was called instead of training. The first node ends last, as the engine's does.
ENGINE = """\
#!/bin/bash
echo "rank $HPCBREW_RANK of $HPCBREW_NODES at ${HPCBREW_COORDINATOR%%:*}, $NPROC cores: $*"
((HPCBREW_RANK)) || until grep -q '^rank 1' rank-1.log; do sleep 0.05; done 2>/dev/null
"""


class Nodes:
    """A run folder, below a scratch folder with an engine, and a launcher on the PATH."""

    def __init__(self, folder: Path, model: Path, request: dict, profile: dict) -> None:
        (folder / "bin").mkdir(parents=True)
        self.calls = folder / "calls"
        self.script(folder / "bin" / "pbsdsh", LAUNCHER.format(calls=shlex.quote(str(self.calls))))
        self.engine = folder / "scratch" / "engine" / "bin"
        self.engine.mkdir(parents=True)
        (self.engine / "python").symlink_to(sys.executable)
        site = Cluster.model_validate({**profiles.values("openpbs"), "name": "there", **profile})
        asked = JobRequest(model / "solver.prototxt", **{"nodes": 2, "cpus": 1, **request})
        plan = plan_job(asked, site, Machine(1, 0), new_token())
        self.folder = folder / "scratch" / plan.run_folder
        for upload in (*plan.definitions, *plan.data):
            path = folder / "scratch" / upload.target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(upload.content if upload.content is not None else upload.source.read_bytes())
        (self.folder / "snapshots").mkdir()
        # The machine's login files may put a real pbsdsh on PATH.
        (folder / ".bash_profile").write_text(f"PATH={SYSTEM}\n")
        self.environment = {
            "HOME": str(folder),
            "PATH": SYSTEM,
            "PBS_O_PATH": str(folder / "bin"),
            "NCPUS": "3",
            "PBS_JOBID": "7.pbs01",
            "PBS_O_WORKDIR": str(self.folder),
            "PBS_NODEFILE": str(folder / "nodefile"),
        }

    @staticmethod
    def script(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def run(self, *lines: str) -> int:
        """`lines` are those of the node file. Gives the script's exit status."""
        Path(self.environment["PBS_NODEFILE"]).write_text("".join(f"{line}\n" for line in lines))
        command = ["/bin/bash", "-l", str(self.folder / layout.SCRIPT)]
        return subprocess.run(command, env=self.environment, cwd="/", check=False, timeout=180).returncode

    def log(self, rank: int = 0) -> str:
        return (self.folder / layout.rank_log(rank)).read_text()

    def exit(self) -> int:
        record = run_folder.read_exit((self.folder / layout.EXIT).read_bytes())
        assert record is not None
        return record.status


@pytest.fixture
def nodes(tmp_path: Path, model: Path):
    def make(profile: dict | None = None, engine: str = ENGINE, **request: object) -> Nodes:
        made = Nodes(tmp_path / "there", model, request, profile or {})
        made.script(made.engine / "caffe", engine)
        return made

    return make


def test_two_nodes_train_one_net(nodes) -> None:
    there = nodes(engine=f'#!/bin/bash\nexec {shlex.quote(sys.executable)} -P -m engine.cli "$@"\n')
    there.environment["HPCBREW_TRAIN_HERE"] = os.environ.get("HPCBREW_TRAIN_HERE", "1")
    assert there.run("localhost", "localhost") == 0
    assert there.exit() == 0
    assert "Iteration 2, Testing net" in there.log()
    assert "Optimization Done." in there.log(1)
    assert "Testing net" not in there.log(1)
    assert (there.folder / "snapshots" / "tiny_iter_3.caffemodel").is_file()


def test_a_node_whose_clock_is_days_ahead_has_the_time_that_all_have(nodes) -> None:
    there = nodes(
        engine=ENGINE.replace("echo", 'echo "$((HPCBREW_DEADLINE - $(date +%s))) s left"; echo'), walltime=3600
    )
    home = Path(there.environment["HOME"])
    (home / ".bash_profile").write_text(
        f'PATH={SYSTEM}\n((HPCBREW_RANK)) || return 0\ndate() {{ /bin/date -d "2 days" "$@"; }}\nexport -f date\n'
    )
    there.run("a", "b")
    left = [int(there.log(rank).partition(" s left")[0].rpartition("\n")[2]) for rank in (0, 1)]
    assert 0 < left[0] < 3600
    assert left[1] == pytest.approx(left[0], abs=60)


@pytest.mark.parametrize(
    ("lines", "index"),
    [(("a", "b"), 1), (("a.x", "a.x", "a.x", "b.x", "b.x", "b.x"), 3), (("a", "b", "a", "b"), 1)],
    ids=["a line a node", "a line a core", "cores in turn"],
)
def test_each_node_is_started_once_and_takes_the_cores_that_it_has(nodes, lines, index) -> None:
    there = nodes()
    assert there.run(*lines) == 0
    (call,) = there.calls.read_text().splitlines()
    assert call.startswith(f"-n {index} -- ")
    assert f"rank 0 of 2 at {lines[0]}, 3 cores: train -solver solver.prototxt" in there.log()
    assert f"rank 1 of 2 at {lines[0]}, 3 cores: train -solver solver.prototxt" in there.log(1)


@pytest.mark.parametrize(("lines", "second"), [(("a", "b"), "0,1"), (("a", "a"), "2,3")], ids=["two hosts", "one host"])
def test_nodes_of_one_host_share_its_gpus_out(nodes, lines, second) -> None:
    there = nodes(gpus_per_node=2)
    assert there.run(*lines) == 0
    assert "-gpu 0,1\n" in there.log()
    assert f"-gpu {second}\n" in there.log(1)


def test_a_launcher_of_the_sites_own(nodes, tmp_path: Path) -> None:
    there = nodes({"launcher": "mpiexec --hosts={host} 'of two words'"})
    there.script(tmp_path / "there" / "bin" / "mpiexec", (tmp_path / "there" / "bin" / "pbsdsh").read_text())
    there.run("a", "b b")
    assert there.calls.read_text().startswith("--hosts=b of two words /usr/bin/env ")


def test_fewer_nodes_than_asked_for_are_told(nodes) -> None:
    there = nodes()
    assert there.run("a", "a", "a") == there.exit() == 1
    assert "PBS gave fewer than the 2 nodes asked for: 3 a" in there.log()


def test_the_first_nodes_end_is_the_jobs(nodes) -> None:
    there = nodes(engine='#!/bin/bash\nexit "$((HPCBREW_RANK + 3))"\n')
    assert there.run("a", "b") == there.exit() == 3


def test_a_lost_node_is_called_so(nodes) -> None:
    said = "F1127 22:58:07 client.h:80] Terminating process because the JAX distributed service detected fatal errors."
    there = nodes(engine=f"#!/bin/bash\necho '{said}'\nkill -ABRT $$\n")
    there.run("a", "b")
    record = run_folder.read_exit((there.folder / layout.EXIT).read_bytes())
    assert record is not None
    assert record.status == ExitCode.ABORTED
    assert record.reason.startswith("contact with another of its nodes was lost")


def test_another_crash_is_none_of_a_lost_node(nodes) -> None:
    there = nodes(engine="#!/bin/bash\necho 'double free or corruption'\nkill -ABRT $$\n")
    there.run("a", "b")
    record = run_folder.read_exit((there.folder / layout.EXIT).read_bytes())
    assert record is not None
    assert (record.status, record.reason) == (ExitCode.ABORTED, "")


def test_further_links_tell_all_nodes_to_go_on(nodes) -> None:
    there = nodes(links=None)
    there.script(Path(there.environment["PBS_O_PATH"]) / "qsub", "#!/bin/sh\necho 8.pbs01\n")
    there.script(Path(there.environment["PBS_O_PATH"]) / "qdel", "#!/bin/sh\n")
    (there.folder / "snapshots" / "tiny_iter_1.solverstate").write_text("state")
    assert there.run("a", "b") == 0
    assert "-snapshot auto" in there.log()
    assert "-snapshot auto" in there.log(1)
    assert (there.folder / layout.LINKS).read_text().count("\n") == 1
