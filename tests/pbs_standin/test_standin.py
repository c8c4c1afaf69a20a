"""The life of a job on the stand-in, held to what was recorded of the same life on OpenPBS 23.06."""

from support import captures
from support.captures import Replay
from support.until import until


def gpu(replay: Replay) -> None:
    """Job 1 has one of the two GPUs."""
    select = "-l select=1:ncpus=1:ngpus=1"
    replay.job("gpu", 'echo "host $(hostname)"; cat "$PBS_NODEFILE"; sleep 60', select, job_name="caffe_train")
    assert replay.type("qsub gpu.pbs") == (0, "1.pbs01\n", "")


def hog(replay: Replay) -> None:
    """Job 2 waits for both."""
    gpu(replay)
    replay.job("gpu2", "sleep 60", "-l select=1:ncpus=1:ngpus=2", job_name="hog")
    assert replay.type("qsub gpu2.pbs") == (0, "2.pbs01\n", "")


def test_a_job_that_runs(replay: Replay) -> None:
    gpu(replay)
    until(lambda: "session_id" in replay.site.shown("1"))
    for name in ("running_f", "running_f_json", "running_fw", "running_x_f_json", "running_default"):
        replay.holds(name)
    replay.holds("nodes_busy_a_json")


def test_jobs_that_wait_and_one_that_waits_in_vain(replay: Replay) -> None:
    hog(replay)
    replay.type("qsub -N too_big -l select=1:ncpus=1:ngpus=3 -l walltime=00:01:00 -- /bin/sleep 1")
    replay.type("qsub -q low -P ee.project -N nowtime -l select=1:ncpus=99 -- /bin/sleep 1")
    for name in ("queued_f", "queued_f_json", "queued_never_f_json", "queued_low_queue_project_f_json"):
        replay.holds(name)
    replay.holds("queues_busy_qstat_Q_f_json")
    replay.type("qdel 3.pbs01")
    replay.holds("deleted_queued_x_f_json")
    replay.holds("deleted_queued_f_json")


def test_of_several_jobs_json_has_the_first_only(replay: Replay) -> None:
    hog(replay)
    until(lambda: "session_id" in replay.site.shown("1"))
    replay.holds("mixed_two_ids_f_json")
    replay.holds("mixed_known_unknown_f_json")
    replay.holds("mixed_short_id_f_json")
    assert replay.type("qstat -f 1.pbs01 2.pbs01")[1].count("Job Id: ") == 2


def test_a_job_that_is_held_and_let_go(replay: Replay) -> None:
    gpu(replay)
    replay.job("ok", "sleep 60")
    replay.site.configure(ngpus=0)
    assert replay.type("qsub -l select=1:ngpus=1 ok.pbs")[1] == "2.pbs01\n"
    assert replay.type("qhold 2.pbs01") == (0, "", "")
    held = replay.site.shown("2")
    shown = ("job_state", "substate", "Hold_Types", "comment", "etime")
    assert [held.get(name, "").partition(" on ")[0] for name in shown] == ["H", "20", "u", "Job held by root", ""]
    assert replay.type("qrls 2.pbs01") == (0, "", "")
    queued = replay.site.shown("2")
    assert [queued[name] for name in shown[:3]] == ["Q", "10", "n"]
    assert replay.type("qrls 2.pbs01") == (0, "", "")


def test_a_job_that_is_submitted_held(replay: Replay) -> None:
    replay.site.configure(first=5)
    replay.job("ok", "true")
    replay.holds("held_at_submit_qsub")
    replay.holds("held_at_submit_f_json")
    replay.type("qdel 5.pbs01")
    replay.holds("deleted_held_x_f_json")


def test_a_job_that_is_held_while_it_runs_goes_on(replay: Replay) -> None:
    replay.site.configure(first=46)
    replay.job("hold", "sleep 60")
    replay.type("qsub hold.pbs")
    until(lambda: "session_id" in replay.site.shown("46"))
    replay.holds("qhold_running")
    replay.holds("qhold_running_f_json")
    replay.holds("qrls_running")
    replay.holds("qrls_running_f_json")
    replay.type("qdel 46.pbs01")  # which has no comment any more, to which its end is added else
    until(lambda: replay.site.shown("46")["job_state"] == "F")


def test_a_job_that_is_deleted_while_it_runs(replay: Replay) -> None:
    replay.site.configure(first=13, poll=2)
    replay.job("sleeper", "sleep 60; echo never")
    replay.type("qsub sleeper.pbs")
    until(lambda: "session_id" in replay.site.shown("13"))
    replay.holds("deleted_running_qdel")
    replay.holds("deleted_running_just_after_f_json")
    replay.holds("deleted_twice_qdel")
    until(lambda: replay.site.shown("13")["job_state"] == "F")
    replay.holds("deleted_running_x_f")
    replay.holds("deleted_running_x_f_json")
    assert (replay.cap / "sleeper.out").read_text() == ""


def test_jobs_that_end_by_themselves(replay: Replay) -> None:
    replay.site.configure(first=7)
    replay.job("ok", "sleep 1; echo hello stdout; echo hello stderr >&2")
    replay.job("exit3", "exit 3")
    replay.job("sig9", "kill -9 $$")
    replay.job("nocmd", "no_such_command_xyz")
    for name in ("ok", "exit3", "nocmd", "sig9"):
        replay.type(f"qsub {name}.pbs")
    until(lambda: all(replay.site.shown(n).get("Exit_status") for n in ("7", "8", "9", "10")))
    until(lambda: replay.type("qstat")[1] == "")
    for name in ("finished_exit0_x_f", "finished_exit0_x_f_json", "finished_exit3_x_f", "finished_exit3_x_f_json"):
        replay.holds(name)
    replay.holds("finished_sigkill_x_f_json")
    replay.holds("mixed_two_ids_x_f")
    replay.holds("mixed_two_ids_x_f_json_LOSES_SECOND")
    replay.holds("mixed_two_ids_x")
    for name in ("finished_without_x_default", "finished_without_x_f_json", "finished_qdel", "finished_qhold"):
        replay.holds(name)
    for name in ("finished_exit0_stdout", "finished_exit0_stderr"):
        replay.holds(name)
    assert replay.site.shown("9")["Exit_status"] == "127"
    said = (replay.cap / "nocmd.err").read_text()
    assert said.endswith("/mom_priv/jobs/9.pbs01.SC: line 7: no_such_command_xyz: command not found\n")


def test_a_job_that_outlasts_its_walltime(replay: Replay) -> None:
    replay.site.configure(first=9)
    replay.script("slow.pbs", "echo start; trap '' TERM; sleep 60 & wait; sleep 60", "-N slow_walltime", *SLOW)
    replay.type("qsub slow.pbs")
    until(lambda: replay.site.shown("9")["job_state"] == "F")
    assert (replay.cap / "slow.err").read_text() == "=>> PBS: job killed: walltime 2 exceeded limit 1\n"
    replay.holds("walltime_killed_stdout")
    shown = replay.site.shown("9")
    assert (shown["Exit_status"], shown["substate"]) == ("-29", "93")
    assert shown["comment"].endswith("on (pbs01:ncpus=1) and exceeded resource walltime")


SLOW = ("-l select=1:ncpus=1", "-l walltime=1", "-o slow.out", "-e slow.err")


def test_the_environment_of_a_job(replay: Replay) -> None:
    replay.site.configure(first=14)
    select = "-l select=2:ncpus=2:mpiprocs=2:ngpus=1"
    body = 'echo == nodefile; cat "$PBS_NODEFILE"; echo == env; env | sort; echo "== pwd $PWD"'
    replay.job("env", f'cd "$PBS_O_WORKDIR"; {body}', select, job_name="envdump")
    (replay.home / ".bash_profile").write_text("export FROM_PROFILE=1\n")
    replay.type("SUBMITTERS_OWN=1 qsub env.pbs")
    until(lambda: replay.site.shown("14")["job_state"] == "F")
    shown = replay.type("cat env.out")[1]
    recorded = captures.captured("job_env_nodefile_stdout").out
    assert shown.partition("== env")[0] == recorded.partition("== env")[0]

    def names(text: str) -> set[str]:
        listed = text.partition("== env\n")[2].partition("== pwd")[0]
        return {line.partition("=")[0] for line in listed.splitlines()} - {"PWD", "SHLVL", "_", "OLDPWD"}

    assert names(shown) == names(recorded) | {"FROM_PROFILE"}


def test_output_that_cannot_be_delivered(replay: Replay) -> None:
    replay.site.configure(first=50, stageout=2.0)
    (replay.home / "file").write_text("")
    replay.job("ok", "sleep 1; echo hello stdout")
    replay.type(f"qsub -o {replay.home}/file/nope.out -e {replay.home}/file/nope.err ok.pbs")
    until(lambda: replay.site.shown("50")["job_state"] == "E")
    shown = replay.site.shown("50")
    assert (shown["substate"], shown["Exit_status"], "obittime" in shown) == ("51", "0", False)
    until(lambda: replay.site.shown("50")["job_state"] == "F")
    shown = replay.site.shown("50")
    assert (shown["Stageout_status"], shown["Exit_status"]) == ("0", "0")
    assert (replay.site.state / "undelivered" / "50.pbs01.OU").read_text() == "hello stdout\n"


def test_a_script_from_stdin_with_its_output_joined(replay: Replay) -> None:
    replay.site.configure(first=28)
    replay.holds("qsub_stdin")
    until(lambda: replay.site.shown("28")["job_state"] == "F")
    replay.holds("qsub_stdin_joined_out")


def test_history_that_is_switched_off(replay: Replay) -> None:
    replay.site.configure(history=False)
    replay.job("ok", "true")
    replay.type("qsub ok.pbs")
    until(lambda: replay.type("qstat 1.pbs01")[0] == 153)
    said = "qstat: PBS is not configured to maintain job history\n"
    assert replay.type("qstat -x 1.pbs01") == (36, "", said)


def test_a_task_of_pbsdsh_has_pbs_s_environment_and_no_more(replay: Replay) -> None:
    task = "sh -c 'echo $PBS_NODENUM $PBS_JOBID ${PBS_O_WORKDIR-none} $PWD; exit 3'"
    replay.job("dsh", f"export MINE=1; {replay.site.bin}/pbsdsh -n 1 -- {task}; echo $?", "-l select=2:ncpus=1")
    replay.type("qsub dsh.pbs")
    until(lambda: replay.site.shown("1")["job_state"] == "F")
    out, err = ((replay.cap / f"dsh.{end}").read_text() for end in ("out", "err"))
    assert out == f"1 1.pbs01 none {replay.home}\n0\n"
    assert err == "pbsdsh: task 0x00000001 exit status 3\n"
