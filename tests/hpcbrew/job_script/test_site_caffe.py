"""`--engine module`: the script around a Caffe that does as BVLC's does, and that an environment module brings."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.until import until

from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.job import JobPlan, JobRecord, JobRequest, JobState, new_token
from hpcbrew.plan.build import plan_job
from hpcbrew.plan.hardware import Machine
from hpcbrew.submit import resume
from hpcbrew.submit.submit import submit
from hpcbrew.track import control, refresh
from hpcbrew.track.ledger import Ledger
from hpcbrew.track.run_folder import Best, read_exit, read_progress

# A state holds the name of its model, as learned_net does. A file `ways` beside it has it go other ways than Caffe's.
CAFFE = """#!{python} -IS
import re, signal, sys, time
from pathlib import Path

here, words = Path("{folder}"), sys.argv[1:]
ways = (here / "ways").read_text() if (here / "ways").exists() else ""
with (here / "calls").open("a") as calls:
    print(*words, "(ignored)" if signal.getsignal(signal.SIGINT) is signal.SIG_IGN else "", file=calls)
stopped = []
if "no handler" in ways:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
else:
    signal.signal(signal.SIGINT, lambda *_: stopped.append(True))
done, last = 0, int(re.search(r"max_iter: (\\d+)", Path("solver.prototxt").read_text())[1])
if "-snapshot" in words:
    assert "-weights" not in words
    state = Path(words[words.index("-snapshot") + 1])
    assert Path(state.read_text()).exists(), "its model is not there"
    done = int(re.search(r"_iter_(\\d+)", state.name)[1])
if "fails" in ways:
    (here / "ways").unlink()
    last = done + 10
if "diverges" in ways:
    for done, loss in ((0, "2.3"), (100, "nan"), (200, "1.5" if "recovers" in ways else "nan")):
        print(f"I1126 12:00:00.000000 1 solver.cpp:239] Iteration {{done}} (10 iter/s, 10s/100 iters), loss = {{loss}}")
    done = last
if "tests" in ways:
    for done, top, loss in ((0, 0.25, 0.9), (100, 0.75, 0.25), (200, 0.5, 0.5)):
        print(f"I1126 12:00:00.000000 1 solver.cpp:347] Iteration {{done}}, Testing net (#0)")
        print(f"I1126 12:00:00.000000 1 solver.cpp:414]     Test net output #0: top = {{top}}")
        print(f"I1126 12:00:00.000000 1 solver.cpp:414]     Test net output #1: cost = {{loss}} (* 1 = {{loss}} loss)")
        print(f"I1126 12:00:00.000000 1 solver.cpp:347] Iteration {{done}}, Testing net (#1)")
        print(f"I1126 12:00:00.000000 1 solver.cpp:414]     Test net output #0: top5_error = {{loss}}")
    done = last
while done < last and (not stopped or "finishes" in ways):
    time.sleep(0.01)
    done += 1
if "no snapshot" not in ways:
    stem = f"snapshots/tiny_iter_{{done}}"
    Path(f"{{stem}}.caffemodel").write_text("model")
    Path(f"{{stem}}.solverstate").write_text(f"{{stem}}.caffemodel")
sys.exit(3 if "fails" in ways else 0)
"""


@dataclass
class Site:
    """A Caffe in a module tree, and a run folder on a node."""

    folder: Path
    model: Path

    @property
    def caffe(self) -> Path:
        return self.folder / "caffe" / "bin" / "caffe"

    @property
    def run_folder(self) -> Path:
        return self.folder / "runs" / "tiny-1"

    def ways(self, words: str) -> None:
        (self.folder / "ways").write_text(words)

    def plan(self, name: str = "openpbs", **request: object) -> JobPlan:
        module = {"caffe_module": {"load": "apps/Caffe"}}
        profile = Cluster.model_validate({**profiles.values(name), **module, "name": name})
        asked = JobRequest(self.model / "solver.prototxt", engine="module", **request)  # type: ignore[arg-type]
        return plan_job(asked, profile, Machine(1, 0), new_token())

    def run(self, *, before: str = "", seconds: int = 2, max_iter: int = 2000, **request: Any) -> int:
        """Runs the script as a node does, with the deadline in so many seconds."""
        request["overrides"] = (("max_iter", str(max_iter)),)
        made = self.plan(walltime=seconds, **request)
        (self.run_folder / "snapshots").mkdir(parents=True, exist_ok=True)
        for upload in made.definitions:
            (self.run_folder / upload.target.name).write_bytes(upload.content or b"")
        found = {"CAFFE_ROOT": str(self.folder / "caffe"), "PBS_O_WORKDIR": str(self.run_folder), "PBS_JOBID": "1.x"}
        pbs = f"module() {{ true; }}; qsub() {{ echo 2.x; }}; qdel() {{ true; }}; {before}\n"
        script = ["bash", "-c", f"{pbs}{made.script}"]
        status = subprocess.run(script, env={**os.environ, **found}, check=False).returncode
        exit_record = self.run_folder / "exit.json"
        assert not exit_record.exists() or read_exit(exit_record.read_bytes()).status == status  # type: ignore[union-attr]
        return status

    def snapshot(self, iteration: int, *, whole: bool = True) -> None:
        stem = f"snapshots/tiny_iter_{iteration}"
        (self.run_folder / "snapshots").mkdir(parents=True, exist_ok=True)
        (self.run_folder / f"{stem}.solverstate").write_text(f"{stem}.caffemodel")
        if whole:
            (self.run_folder / f"{stem}.caffemodel").write_text("model")

    @property
    def calls(self) -> list[str]:
        return [line.strip() for line in (self.folder / "calls").read_text().splitlines()]

    @property
    def last_words(self) -> str:
        return (self.run_folder / "train.log").read_text().splitlines()[-1]


@pytest.fixture
def site(tmp_path: Path, model: Path) -> Site:
    site = Site(tmp_path / "site", model)
    site.caffe.parent.mkdir(parents=True)
    site.caffe.write_text(CAFFE.format(python=sys.executable, folder=site.folder))
    site.caffe.chmod(0o755)
    return site


def test_when_time_is_up_it_leaves_with_a_snapshot_to_be_continued(site: Site) -> None:
    assert site.run() == 75
    assert site.calls == ["train -solver solver.prototxt"]
    assert site.last_words.startswith("hpcbrew: time is up; the newest snapshot: ")
    assert site.last_words.endswith(".solverstate")


def test_a_job_that_was_started_with_interrupts_ignored_is_interrupted_all_the_same(site: Site) -> None:
    assert site.run(before="trap '' INT") == 75
    assert "(ignored)" not in site.calls[0]


def test_a_script_around_caffe_is_no_hindrance(site: Site) -> None:
    site.caffe.rename(site.caffe.with_name("real"))
    site.caffe.write_text(f'#!/bin/bash\n{site.caffe.with_name("real")} "$@"\n')
    site.caffe.chmod(0o755)
    assert site.run() == 75


def test_a_caffe_that_knows_no_interrupt_leaves_what_it_had(site: Site) -> None:
    site.ways("no handler")
    site.snapshot(5)
    assert site.run() == 75
    assert site.last_words == "hpcbrew: time is up; the newest snapshot: 5 tiny_iter_5.solverstate"


def test_what_has_left_no_snapshot_cannot_be_continued(site: Site) -> None:
    site.ways("no handler")
    assert site.run() == 130


def test_what_was_stopped_without_a_snapshot_is_not_done(site: Site) -> None:
    """As with snapshot_after_train: false."""
    site.ways("no snapshot")
    assert site.run() == 1


def test_what_is_done_before_its_time_is_up_is_done(site: Site) -> None:
    assert site.run(seconds=100, max_iter=20) == 0


def test_what_comes_to_its_end_as_time_is_up_is_done(site: Site) -> None:
    site.ways("finishes")
    assert site.run(max_iter=220) == 0


def test_a_loss_that_is_no_number_is_told_of_though_caffe_ends_well(site: Site) -> None:
    site.ways("diverges")
    assert site.run(max_iter=300) == 65
    assert json.loads((site.run_folder / "progress.json").read_text())["diverged"] == 100


def test_a_loss_that_is_a_number_again_is_none_of_these(site: Site) -> None:
    site.ways("diverges recovers")
    assert site.run(max_iter=300) == 0
    assert "diverged" not in json.loads((site.run_folder / "progress.json").read_text())


def test_the_best_tests_and_how_long_it_ran_are_told_as_the_engine_tells_them(site: Site) -> None:
    site.ways("tests")
    begun = int(time.time())
    assert site.run(max_iter=300) == 0
    found = read_progress((site.run_folder / "progress.json").read_bytes())
    assert found is not None
    assert found.outputs == {"top": 0.5, "cost": 0.5, "top5_error #1": 0.5}
    assert found.tested == 200
    assert found.best == {"top": Best(0.75, 100), "cost": Best(0.25, 100), "top5_error #1": Best(0.25, 100)}
    assert begun <= (found.began or 0) <= time.time()
    site.run(max_iter=300)
    again = read_progress((site.run_folder / "progress.json").read_bytes())
    assert again is not None
    assert again.began == found.began


def test_a_failure_is_caffe_s_own(site: Site) -> None:
    site.ways("fails")
    assert site.run(seconds=100) == 3


def test_what_the_script_itself_stops_for_is_in_the_exit_record(site: Site) -> None:
    assert site.run(before="module() { false; }") == 1
    ended = read_exit((site.run_folder / "exit.json").read_bytes())
    assert ended is not None
    assert ended.reason == "module load apps/Caffe failed; module avail lists what there is"


def test_what_stops_a_chain_twice_is_in_its_exit_record(site: Site) -> None:
    for _ in range(2):
        assert site.run(before="module() { false; }", links=None) == 1
    ended = read_exit((site.run_folder / "exit.json").read_bytes())
    assert ended is not None
    assert ended.reason.startswith("two of its jobs ended with exit status 1 (module load apps/Caffe failed; ")


def test_a_chain_goes_on_from_the_newest_state_whose_model_is_there(site: Site) -> None:
    for iteration in (9, 10):
        site.snapshot(iteration)
    site.snapshot(11, whole=False)
    (site.model / "a.caffemodel").write_bytes(b"\n\x07weights")
    assert site.run(seconds=100, max_iter=20, links=None, weights=(site.model / "a.caffemodel",)) == 0
    assert site.calls == ["train -solver solver.prototxt -snapshot snapshots/tiny_iter_10.solverstate"]


def test_a_chain_begins_with_its_weights(site: Site) -> None:
    (site.model / "a.caffemodel").write_bytes(b"\n\x07weights")
    assert site.run(seconds=100, max_iter=20, links=None, weights=(site.model / "a.caffemodel",)) == 0
    assert "-weights ../../data/" in site.calls[0]


@dataclass
class Here:
    """The queue on this machine, whose shell has a `module` that brings the Caffe."""

    site: Site
    ledger: Ledger

    def submit(self, made: JobPlan) -> JobRecord:
        reached = refresh.reach(made.address)
        return submit(made, "solver.prototxt", reached.transport, reached.scheduler, self.ledger, lambda size: None)

    def until(self, record: JobRecord, *states: JobState) -> JobRecord:
        def look() -> JobRecord | None:
            (seen,) = refresh.look(refresh.reach(record.address), [record], self.ledger)
            return seen.record if seen.record.status.state in states else None

        return until(look)  # type: ignore[no-any-return]


@pytest.fixture
def here(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    home = tmp_path / "home"
    home.mkdir()
    module = f'module() {{ [[ $* == "load apps/Caffe" ]] && export CAFFE_ROOT={site.folder}/caffe; }}\n'
    (home / ".bash_profile").write_text(module)
    monkeypatch.setenv("HOME", str(home))
    return Here(site, Ledger())


ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.LOST)


def test_a_chain_is_trained_through_the_queue(here: Here) -> None:
    here.site.ways("fails")
    record = here.submit(here.site.plan("local", links=None, overrides=(("max_iter", "20"),)))
    assert here.until(record, *ENDED).status.state is JobState.DONE
    assert here.site.calls == [
        "train -solver solver.prototxt",
        "train -solver solver.prototxt -snapshot snapshots/tiny_iter_10.solverstate",
    ]


def test_a_job_is_resumed_by_the_same_caffe_which_finds_the_model(here: Here) -> None:
    here.site.ways("fails")
    first = here.submit(here.site.plan("local", overrides=(("max_iter", "20"),)))
    assert here.until(first, *ENDED).status.state is JobState.FAILED
    values = {**profiles.values("local"), "name": "local", "caffe_module": {"load": "apps/Caffe"}}
    profile = Cluster.model_validate(values)
    request = JobRequest(here.site.model / "solver.prototxt")
    previous = resume.read(first, refresh.reach(first.address).transport)
    second = here.submit(resume.plan(previous, request, profile, Machine(1, 0), new_token()))
    assert here.until(second, *ENDED).status.state is JobState.DONE
    state = f"../{first.run_folder.name}/snapshots/tiny_iter_10.solverstate"
    assert here.site.calls[1] == f"train -solver solver.prototxt -snapshot {state}"


def test_a_job_that_is_cancelled_leaves_no_caffe_behind(here: Here) -> None:
    record = here.submit(here.site.plan("local", overrides=(("max_iter", "100000"),)))
    until((here.site.folder / "calls").exists)
    assert _caffes(here.site)
    assert control.cancel(record, here.ledger) == "cancelled"
    assert here.until(record, *ENDED).status.state is JobState.CANCELLED
    assert not _caffes(here.site)


def _caffes(site: Site) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes() if process.name.isdecimal() else b""
        except OSError:
            continue
        found += [process.name] if str(site.caffe).encode() in words else []
    return found
