"""depend= on the stand-in, held to what was recorded."""

from support.captures import Replay
from support.until import until


def parent(replay: Replay) -> None:
    """Job 15 runs for as long as the file `wait` is there, and then ends well."""
    replay.site.configure(first=15)
    (replay.cap / "wait").touch()
    replay.job("ok", f"while [ -e {replay.cap}/wait ]; do sleep 0.1; done; sleep 1")
    replay.job("exit3", "exit 3")
    replay.type("qsub ok.pbs")


def go_on(replay: Replay) -> None:
    (replay.cap / "wait").unlink()


def state(replay: Replay, job: int) -> str:
    return replay.site.shown(str(job))["job_state"]


def test_a_job_that_waits_for_another(replay: Replay) -> None:
    parent(replay)
    replay.holds("depend_afterok_qsub")
    replay.holds("depend_waiting_f_json")
    replay.holds("depend_waiting_default")
    assert replay.site.shown("15")["depend"] == "beforeok:16.pbs01@pbs01"
    for kind in ("afterok", "afternotok", "afterany"):
        replay.type(f"qsub -W depend={kind}:16.pbs01 ok.pbs")
    go_on(replay)
    until(lambda: all(state(replay, n) == "F" for n in range(15, 20)))
    replay.holds("depend_afterok_done_x_f_json")
    replay.holds("depend_afterok_of_failed_x_f_json")
    replay.holds("depend_afterany_of_failed_x_f_json")
    shown = replay.site.shown("18")
    assert (shown["Exit_status"], "depend" in shown) == ("0", False)


def test_a_job_that_waits_for_one_that_has_ended_or_never_was(replay: Replay) -> None:
    parent(replay)
    go_on(replay)
    replay.type("qsub exit3.pbs")
    until(lambda: state(replay, 15) == state(replay, 16) == "F")
    assert replay.type("qsub -W depend=afterok:16.pbs01 ok.pbs")[1] == "17.pbs01\n"
    assert replay.type("qsub -W depend=afterok:15.pbs01 ok.pbs")[1] == "18.pbs01\n"
    assert replay.type("qsub -W depend=afterok:999999.pbs01 ok.pbs")[1] == "19.pbs01\n"
    until(lambda: state(replay, 18) == "F")
    assert replay.site.shown("18")["Exit_status"] == "0"
    for job in ("17", "19"):
        shown = replay.site.shown(job)
        assert (shown["job_state"], shown["substate"], shown["Hold_Types"]) == ("F", "92", "s")
        assert shown.keys().isdisjoint({"Exit_status", "comment", "etime", "run_count"})


def test_a_held_job_whose_dependency_is_met_stays_held(replay: Replay) -> None:
    parent(replay)
    replay.type("qsub -W depend=afterok:15.pbs01 ok.pbs")
    replay.type("qhold 16.pbs01")
    assert replay.site.shown("16")["Hold_Types"] == "us"
    go_on(replay)
    until(lambda: state(replay, 15) == "F")
    assert state(replay, 16) == "H"
    replay.type("qrls 16.pbs01")
    until(lambda: state(replay, 16) == "F")
