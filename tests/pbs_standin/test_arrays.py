"""Arrays on the stand-in, held to what was recorded."""

from support.captures import Replay
from support.until import until


def sweep(replay: Replay) -> None:
    """Array 23 of three, the second of which fails; they run for as long as the file `wait` is there."""
    replay.site.configure(first=23)
    (replay.cap / "wait").touch()
    usual = ("-N sweep", "-l select=1:ncpus=1", "-l walltime=2:00", "-J 1-3", f"-o {replay.cap}/", f"-e {replay.cap}/")
    body = 'echo "index $PBS_ARRAY_INDEX id $PBS_JOBID array $PBS_ARRAY_ID"\n'
    body += f"while [ -e {replay.cap}/wait ]; do sleep 0.1; done; [[ $PBS_ARRAY_INDEX != 2 ]] || exit 4"
    replay.script("arr.pbs", body, *usual)


def running(replay: Replay, *jobs: str) -> bool:
    return all("session_id" in replay.site.shown(job) for job in jobs)


def test_an_array_that_runs_and_of_which_one_fails(replay: Replay) -> None:
    sweep(replay)
    replay.holds("array_qsub")
    until(lambda: running(replay, "23[1]", "23[2]", "23[3]"))
    replay.holds("array_running_f_json")
    replay.holds("array_running_sub1_f_json")
    replay.holds("array_running_t_f_json")
    replay.holds("array_running_t")
    (replay.cap / "wait").unlink()
    until(lambda: replay.site.shown("23[]")["job_state"] == "F")
    for name in ("array_finished_x_f_json", "array_finished_sub2_x_f_json", "array_finished_x_t_f_json"):
        replay.holds(name)
    replay.holds("array_finished_x_t")
    replay.holds("array_sub1_stdout")


def test_an_array_of_which_two_may_run_at_once(replay: Replay) -> None:
    replay.site.configure(first=24, poll=0.1)
    replay.job("sleeper", "sleep 60")
    replay.type("qsub -J 1-10:3%2 -N stride sleeper.pbs")
    until(lambda: running(replay, "24[1]", "24[4]"))
    replay.holds("array_limited_t_f_json")
    replay.holds("array_sub_qdel")
    until(lambda: running(replay, "24[7]"))
    shown = replay.site.shown("24[1]")
    assert (shown["job_state"], shown["substate"], shown["Exit_status"]) == ("X", "91", "271")
    array = replay.site.shown("24[]")
    assert array["array_state_count"] == "Queued:1 Running:2 Exiting:0 Expired:1"
    assert (array["job_state"], array["array_indices_remaining"], array["Exit_status"]) == ("B", "10", "1")
    replay.holds("array_qdel")
    until(lambda: replay.site.shown("24[]")["job_state"] == "F")
    array, never = replay.site.shown("24[]"), replay.site.shown("24[10]")
    assert (array["substate"], array["Exit_status"]) == ("91", "1")
    assert array["comment"].endswith(" and terminated")
    assert [never[name] for name in ("job_state", "substate", "comment")] == ["F", "91", "Subjob finished"]
    replay.holds("array_qhold_unquoted_base")


def test_an_array_that_is_held(replay: Replay) -> None:
    replay.site.configure(first=47)
    replay.job("hold", "sleep 60")
    replay.job("ok", "true")
    replay.type("qsub -J 1-4 -N harr hold.pbs")
    until(lambda: running(replay, "47[1]", "47[2]", "47[3]", "47[4]"))
    replay.holds("array_qhold")
    replay.holds("array_held_t_f_json")
    replay.holds("array_qrls")
    replay.type("qsub -h -J 1-2 -N harr2 ok.pbs")
    replay.holds("array_held_at_submit_t_f_json")
    replay.holds("array_no_brackets_qdel")
    replay.type("qrls '48[]'")
    until(lambda: replay.site.shown("48[]")["job_state"] == "F")
