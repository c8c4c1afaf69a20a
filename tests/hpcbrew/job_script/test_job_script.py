"""The job script as a node runs it: bash, between a qsub and an engine that do as their test says."""

import subprocess
import sys
from pathlib import Path

import pytest
from support import mac
from support.node import Node

from hpcbrew.clusters import profiles
from hpcbrew.job import After, JobState, JobStatus

QSUB = 'echo "$*" >>{called}; echo Charged to ee; echo $((20 + $(wc -l <{called}))).pbs01; echo Be quick >&2'
REFUSED = 'echo "$*" >>{called}; echo "qsub: Bad UID for job execution" >&2; exit 23'


@pytest.fixture
def node(tmp_path: Path, model: Path) -> Node:
    node = Node(tmp_path / "scratch", model)
    node.command(node.pbs / "qsub", QSUB)
    node.command(node.pbs / "qdel", 'echo "$*" >>{called}')
    return node


def test_of_all_that_qsub_prints_the_id_is_noted(node: Node) -> None:
    assert node.run(links=None) == 75
    assert node.called("qsub") == ["-W depend=afterany:11.pbs01 job.pbs"]
    assert (node.lines("job.id"), node.lines("links.id"), node.exit) == (["11.pbs01"], ["21.pbs01"], None)


def test_pbs_s_commands_are_found_where_the_submitting_shell_found_them(node: Node) -> None:
    assert node.run(engine="exit 0", path="/nonexistent", links=None) == 0
    assert node.lines("links.id") == node.called("qdel") == ["21.pbs01"]


def test_a_site_whose_nodes_may_not_submit_is_told_of(node: Node) -> None:
    node.command(node.pbs / "qsub", REFUSED)
    assert node.run(links=None) == 75
    assert (
        "no further job of the chain could be submitted: qsub: Bad UID for job execution" in node.lines("train.log")[0]
    )
    assert node.status.state is JobState.OUT_OF_WALLTIME
    assert node.status.reason == (
        "no further job could be submitted from the node (qsub: Bad UID for job execution): hpcbrew resume goes on"
    )


def test_a_node_without_qsub_is_told_of(node: Node) -> None:
    (node.pbs / "qsub").unlink()
    assert node.run(links=None) == 75
    assert "qsub: command not found" in node.status.reason


def test_the_last_job_that_was_asked_for_is_no_fault(node: Node) -> None:
    node.command(node.pbs / "qsub", REFUSED)
    (node.run_folder).mkdir(parents=True)
    (node.run_folder / "links.log").write_text("10.pbs01 75 \n")
    (node.run_folder / "job.id").write_text("10.pbs01\n")
    assert node.run(engine="touch snapshots/t_iter_1.solverstate; exit 75", links=2) == 75
    assert node.called("qsub") == []
    assert node.status.reason.startswith("stopped in time, with a snapshot: hpcbrew resume")


def test_a_chain_that_comes_no_further_says_so(node: Node) -> None:
    assert node.run(engine="exit 3", links=None) == 3
    assert node.exit is None
    assert node.run("21.pbs01", engine="exit 3", links=None) == 3
    said = "two of its jobs ended with exit status 3, and the second came no further than the first"
    assert node.lines("train.log")[-1] == f"hpcbrew: the chain stops: {said}"
    assert (node.status.state, node.status.reason) == (JobState.FAILED, said)
    assert node.called("qdel") == ["22.pbs01"]


def test_a_mac_s_own_chain_knows_its_newest_snapshot(node: Node, tmp_path: Path) -> None:
    path = f"{node.pbs}:{mac.commands(tmp_path / 'mac')}"
    assert node.run(engine="touch snapshots/t_iter_{{9,10}}.solverstate; exit 75", path=path, links=None) == 75
    assert node.lines("links.log") == ["11.pbs01 75 t_iter_10.solverstate"]


@pytest.mark.parametrize(
    ("what", "status"),
    [("mem 3kb exceeded limit 2kb", 137), ("walltime 6 exceeded limit 5", 75), ("cput 6 exceeded limit 5", 75)],
)
def test_a_chain_does_not_go_on_with_too_little_memory(node: Node, what: str, status: int) -> None:
    """Each of its jobs would leave a snapshot when PBS kills it, and look as if the chain came on."""
    node.run_folder.mkdir(parents=True)
    (node.run_folder / "job.id").write_text("10.pbs01\n")
    (node.run_folder / "links.log").write_text("10.pbs01 143 t_iter_1.solverstate\n")
    (node.run_folder / "scheduler.log").write_text(f"Welcome=>> PBS: job killed: {what}\n")
    assert node.run(links=None) == status
    if status == 137:
        assert node.called("qsub") == []
        assert f"asked for the same ({what}): hpcbrew resume continues it with more" in node.status.reason


def test_a_chain_does_not_run_on_where_nothing_can_be_written(node: Node) -> None:
    node.run_folder.mkdir(parents=True)
    (node.run_folder / "links.log").symlink_to("/dev/full")
    assert node.run(links=None) == 73
    assert node.called("qsub") == []
    assert "the disk may be full" in node.status.reason


def test_a_job_that_cannot_be_noted_is_deleted_again(node: Node) -> None:
    (node.run_folder / "links.id").mkdir(parents=True)
    assert node.run(links=None) == 75
    assert node.called("qdel") == ["21.pbs01"]
    assert "links.id cannot be written to" in node.status.reason


def test_a_job_that_pbs_runs_again_submits_no_second_follower(node: Node) -> None:
    assert node.run(links=None, engine="kill -9 $PPID") == -9
    assert node.run(links=None) == 75
    assert len(node.called("qsub")) == 1
    assert node.run(links=None, engine="exit 0") == 0
    assert node.called("qdel") == ["21.pbs01"]


def test_a_link_that_nobody_noted_notes_itself(node: Node) -> None:
    """The link before was killed when qsub had just given it an id."""
    node.run_folder.mkdir(parents=True)
    (node.run_folder / "job.id").write_text("10.pbs01\n")
    (node.run_folder / "links.log").write_text("10.pbs01")
    assert node.run(links=None) == 75
    assert node.lines("links.id") == ["11.pbs01", "21.pbs01"]


def test_a_link_that_was_submitted_while_its_chain_was_cancelled_does_nothing(node: Node) -> None:
    node.run_folder.mkdir(parents=True)
    (node.run_folder / "cancelled").touch()
    assert node.run(links=None, engine="touch ran") == 143
    assert (node.called("qsub"), node.lines("ran"), node.exit and node.exit.status) == ([], [], 143)


def test_what_a_reason_holds_does_no_harm_to_the_exit_record(node: Node) -> None:
    node.command(node.pbs / "qsub", r"""printf 'qsub: "a\\b" \303\251\t\351\n' >&2; exit 1""")
    node.run(links=None)
    assert node.exit is not None
    assert "(qsub: 'a'b'" in node.exit.reason


@pytest.fixture
def chain(node: Node) -> After:
    """Another chain, whose second link is at work and whose third waits behind it."""
    folder = node.folder / "runs" / "chain-2"
    folder.mkdir(parents=True)
    (folder / "job.id").write_text("1.pbs01\n")
    (folder / "links.id").write_text("2.pbs01\n3.pbs01\n")
    (folder / "links.log").write_text("1.pbs01 75 x\n2.pbs01")
    return After("1.pbs01", "chain", str(folder))


def test_a_job_waits_for_the_link_at_work_and_not_for_one_that_may_be_deleted(node: Node, chain: After) -> None:
    assert node.run(after=chain, engine="touch ran") == 0
    assert node.called("qsub") == ["-W depend=afterany:2.pbs01 job.pbs"]
    assert (node.lines("job.id"), node.exit, node.lines("ran")) == (["21.pbs01"], None, [])
    assert node.run("21.pbs01", after=chain) == 0  # killed while at work, and the third has not begun
    assert node.called("qsub")[1:] == ["-W depend=afterany:3.pbs01 job.pbs"]
    assert node.run("22.pbs01", after=chain) == 69
    assert node.status == JobStatus(JobState.NEVER_RAN, "chain stopped: its last job ended without an exit record")


def test_a_job_that_cannot_wait_any_longer_says_so(node: Node, chain: After) -> None:
    node.command(node.pbs / "qsub", REFUSED)
    assert node.run(after=chain) == 69
    assert node.status == JobStatus(
        JobState.NEVER_RAN,
        "chain continues, but no further job could be submitted to wait for it (qsub: Bad UID for job execution)",
    )


def test_a_chain_waits_once_and_not_with_each_of_its_links(node: Node, chain: After) -> None:
    (Path(chain.folder or "") / "exit.json").write_text('{"status": 0, "time": 1}')
    assert node.run(after=chain, links=None) == 75
    (Path(chain.folder or "") / "exit.json").unlink()
    assert node.run("21.pbs01", after=chain, links=None, engine="exit 0") == 0


def test_shellcheck_finds_nothing_in_the_scripts_of_chains(node: Node, chain: After) -> None:
    node.run(after=chain, links=2)
    script = str(node.run_folder / "job.pbs")
    command = [str(Path(sys.executable).with_name("shellcheck")), "--severity=warning", "--shell=bash", script]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_a_plain_script_knows_nothing_of_chains(node: Node) -> None:
    assert node.run(engine="exit 0") == 0
    assert "qsub" not in (node.run_folder / "job.pbs").read_text()


def test_time_that_is_up_without_a_snapshot_is_called_so(node: Node) -> None:
    assert node.run(engine="exit 75") == 75
    assert node.exit is not None
    assert node.exit.reason == (
        "stopped in time, but without a snapshot to continue from: submit it again, with a longer walltime"
    )
    assert node.run(engine="touch snapshots/t_iter_1.solverstate; exit 75") == 75
    assert node.status.reason == "stopped in time, with a snapshot: hpcbrew resume continues from it"


FULL = "its run folder cannot be written to: the disk may be full or a quota exceeded"


def test_a_full_disk_is_no_refusal_of_the_engine(node: Node) -> None:
    assert node.run(engine='echo "caffe: error: x.caffemodel: No space left on device"; exit 2') == 2
    assert (node.status.state, node.status.reason) == (JobState.FAILED, FULL)
    noise = "for i in $(seq 200); do echo iteration $i; done"
    assert node.run(engine=f'{noise}; echo "caffe: error: no such layer"; exit 2') == 2
    assert node.status.reason == "exit status 2: the engine refused it; hpcbrew logs shows why"


def test_what_a_job_writes_has_the_permissions_of_the_profile(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    values = profiles.values("openpbs")
    monkeypatch.setattr(profiles, "values", lambda name: {**values, "umask": "007"})
    assert node.run(engine="touch snapshots/t_iter_1.solverstate; exit 0") == 0
    modes = {name: oct((node.run_folder / name).stat().st_mode)[-3:] for name in ("train.log", "exit.json")}
    assert modes == {"train.log": "660", "exit.json": "660"}
    assert oct((node.run_folder / "snapshots" / "t_iter_1.solverstate").stat().st_mode)[-3:] == "660"


def test_databases_go_to_the_disk_that_the_profile_names(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    values = profiles.values("openpbs")
    monkeypatch.setattr(profiles, "values", lambda name: {**values, "local_disk": "$JOBFS"})
    monkeypatch.setenv("JOBFS", str(node.folder))
    assert node.run(engine=f'[[ "$HPCBREW_LOCAL_DISK" == {node.folder} ]]') == 0
    monkeypatch.setenv("JOBFS", "/nowhere")
    assert node.run() == 1
    assert node.status.reason is not None
    assert "says local_disk: $JOBFS, and this node has no such folder" in node.status.reason


@pytest.mark.parametrize(
    ("listed", "already", "seen"),
    [
        ("gpu-1-gpu3\ngpu-1-gpu10\n", "", "3,10"),
        ("gpu-1-gpu3\n", "1", "1"),
        ("2\n", "", "2"),
        ("", "", ""),
        ("unknown\n", "", ""),
    ],
    ids=["one HOST-gpuN a line", "what is set stays", "numbers alone", "none", "another form"],
)
def test_a_job_uses_the_gpus_that_torque_gave_it(
    node: Node, monkeypatch: pytest.MonkeyPatch, listed: str, already: str, seen: str
) -> None:
    (node.model / "gpus").write_text(listed)
    monkeypatch.setenv("PBS_GPUFILE", str(node.model / "gpus"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", already)
    assert node.run(engine='echo "$CUDA_VISIBLE_DEVICES" >seen', gpus_per_node=2) == 0
    assert node.lines("seen") == [seen]


def test_what_the_engine_compiles_is_kept_on_scratch_unless_the_user_has_a_place(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    engine = 'mkdir -p "$XDG_CACHE_HOME"; (cd -P "$XDG_CACHE_HOME" && pwd) >cache'
    assert node.run(engine=engine) == 0
    assert node.lines("cache") == [str((node.run_folder.parents[1] / "cache").resolve())]
    monkeypatch.setenv("XDG_CACHE_HOME", str(node.run_folder / "own"))
    assert node.run(engine=engine) == 0
    assert node.lines("cache") == [str((node.run_folder / "own").resolve())]
