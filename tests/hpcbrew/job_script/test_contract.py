"""Scripts of every kind, read back: they say what engine.job_contract and hpcbrew.layout say, and nothing else."""

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from engine import job_contract, shipped
from engine.job_contract import ExitCode, Variable
from hpcbrew import layout
from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.job import After, JobRequest, new_token
from hpcbrew.plan import sweep
from hpcbrew.plan.build import plan_job
from hpcbrew.plan.hardware import Machine
from hpcbrew.track import run_folder

FILES = {value for value in vars(layout).values() if isinstance(value, str) and re.fullmatch(r"\w+\.\w+", value)}
ALWAYS = {Variable.RUN_DIR, Variable.DEADLINE}
ENDS = {ExitCode.FAULT, ExitCode.TERMINATED}
RECORDS = {layout.EXIT, layout.ID, layout.LOG, layout.SOLVER}
AGAIN = {layout.SCRIPT, layout.LINKS, layout.LINK_IDS}

# What is asked for, and which variables, exit codes and files its script names.
KINDS: dict[str, tuple[dict[str, object], set[Variable], set[ExitCode], set[str]]] = {
    "single": ({}, ALWAYS, ENDS, RECORDS),
    "nodes": (
        {"nodes": 2, "gpus_per_node": 1},
        ALWAYS | {Variable.COORDINATOR, Variable.NODES, Variable.RANK, Variable.BEFORE},
        ENDS,
        RECORDS | {layout.SCRIPT},
    ),
    "chain": (
        {"links": None},
        ALWAYS,
        ENDS | {ExitCode.DONE, ExitCode.DIVERGED, ExitCode.NO_ROOM, ExitCode.KILLED},
        RECORDS | AGAIN | {layout.SCHEDULER_LOG},
    ),
    "after": (
        {"after": After("1.pbs01", "chain", "/scratch/runs/chain-2")},
        ALWAYS,
        ENDS | {ExitCode.DONE, ExitCode.NEVER_BEGAN},
        RECORDS | AGAIN | {layout.WAITED},
    ),
    "sweep": ({}, ALWAYS, ENDS, RECORDS),
    "local disk": ({}, ALWAYS | {Variable.LOCAL_DISK}, ENDS, RECORDS),
    "site's Caffe": (
        {"engine": "module"},
        ALWAYS,
        ENDS | {ExitCode.DONE, ExitCode.CONTINUES, ExitCode.DIVERGED, ExitCode.INTERRUPTED},
        RECORDS | {layout.PROGRESS, layout.METRICS},
    ),
}


def script(kind: str, model: Path) -> str:
    values = {"name": "there", "host": "there", "gpus_per_node": 1, "caffe_module": {"load": "apps/Caffe"}}
    if kind == "local disk":
        values["local_disk"] = "$TMPDIR"
    profile = Cluster.model_validate({**profiles.values("openpbs"), **values})
    request = JobRequest(model / "solver.prototxt", **KINDS[kind][0])  # type: ignore[arg-type]
    if kind == "sweep":
        return sweep.plan(request, profile, sweep.points(["base_lr=1,2"]), Machine(1, 0), new_token()).script
    return plan_job(request, profile, Machine(1, 0), new_token()).script


def commands(text: str) -> str:
    """Without directives and comments."""
    return re.sub(r"^#.*$", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_script_says_what_the_contract_says(model: Path, kind: str) -> None:
    _, variables, exit_codes, files = KINDS[kind]
    text = commands(script(kind, model))
    assert set(re.findall(r"HPCBREW_\w+", text)) == variables
    ends = re.findall(r"(?:\bexit|\brecord|\bchain_end|\$(?:status|1) -eq|^ +status=) ?(\d+)", text, re.MULTILINE)
    assert {ExitCode(int(status)) for status in ends} == exit_codes
    named = {name for name in FILES if re.search(rf"(?<![\w.-]){re.escape(name)}\b", text)}
    assert named == files


def test_every_constant_of_the_contract_is_of_use_to_some_script() -> None:
    by_user_or_engine = {Variable.TRAIN_HERE, Variable.ONEDNN, Variable.LAYERS}, {ExitCode.WRONG, ExitCode.ABORTED}
    assert set().union(*(kind[1] for kind in KINDS.values())) == set(Variable) - by_user_or_engine[0]
    assert set().union(*(kind[2] for kind in KINDS.values())) == set(ExitCode) - by_user_or_engine[1]


def test_no_template_repeats_what_the_contract_says() -> None:
    for template in (shipped.folder("templates") / "pbs").glob("*.j2"):
        text = re.sub(r"\{\{ .*? \}\}", "", template.read_text())
        assert "HPCBREW_" not in text, template.name
        assert not {name for name in FILES if name in text}, template.name


def test_the_exit_record_has_the_contract_s_fields(model: Path) -> None:
    (form,) = re.findall(r"printf '(\{\"status\".*\})\\n'", script("single", model))
    assert json.loads(form.replace("%d", "0")).keys() == job_contract.ExitRecord.__annotations__.keys()


def test_the_records_made_of_a_site_s_log_have_the_contract_s_fields(model: Path) -> None:
    written = re.findall(r'\\"(\w+)\\": ', script("site's Caffe", model))
    forms = (job_contract.ProgressRecord, job_contract.TrainMetrics, job_contract.TestMetrics)
    known = set().union(*(form.__annotations__ for form in (*forms, job_contract.BestOutput)))
    assert set(written) == known - {"images_per_second", "memory_bytes"}


def test_what_the_submitter_reads_is_what_is_written() -> None:
    for read, written in (
        (run_folder.Progress, job_contract.ProgressRecord),
        (run_folder.ExitRecord, job_contract.ExitRecord),
    ):
        assert {field.name for field in fields(read)} <= written.__annotations__.keys()


def test_shellcheck_finds_nothing(model: Path, tmp_path: Path) -> None:
    for kind in KINDS:
        (tmp_path / f"{kind}.sh").write_text(script(kind, model))
    command = [str(Path(sys.executable).with_name("shellcheck")), "--severity=warning", "--shell=bash"]
    checked = subprocess.run([*command, *tmp_path.glob("*.sh")], capture_output=True, text=True, check=False)
    assert (checked.stdout, checked.returncode) == ("", 0)
