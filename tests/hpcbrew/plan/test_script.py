"""What a template of a site's own may name, and how its values reach the shell."""

import subprocess
from pathlib import Path

import pytest

from hpcbrew.plan.script import PbsCommands, ScriptContext, Training, render

TRAINING = Training(
    ("caffe",), ("train",), (), None, 10, 60, "python", checked=True, cache="../../cache", site_module=None
)
CONTEXT = ScriptContext(
    name="lenet",
    token="ab12",
    cluster="there",
    directives=["-N lenet"],
    modules=(),
    environment={},
    points=False,
    nodes=1,
    gpus=0,
    training=TRAINING,
    pbs=PbsCommands(("qsub",), ("qdel",), "ssh {host}"),
)


@pytest.fixture
def rendered(home: Path):
    def write(template: str) -> str:
        path = home / "config" / "hpcbrew" / "templates" / "pbs" / "own.j2"
        path.parent.mkdir(parents=True)
        path.write_text(template)
        return render("own.j2", CONTEXT)

    return write


def test_a_template_names_the_contract_and_the_files_of_the_run_folder(rendered) -> None:
    template = "{{ exit_codes.CONTINUES }} {{ variables.DEADLINE }} {{ files.EXIT }} {{ training.max_iter }}"
    assert rendered(template) == "75 HPCBREW_DEADLINE exit.json 10"


def test_a_block_of_the_shipped_template_is_changed(rendered) -> None:
    script = rendered('{% extends "shipped/job.pbs.j2" %}{% block modules %}source /opt/site.sh\n{% endblock %}')
    assert "\nsource /opt/site.sh\n" in script
    assert script.startswith("#!/bin/bash -l\n#PBS -N lenet\n")


def test_a_variable_has_a_default(rendered) -> None:
    script = rendered("echo {{ variables.RANK | value_or(0) }}{{ variables.BEFORE | value_or }}")
    assert script == "echo ${HPCBREW_RANK:-0}${HPCBREW_BEFORE:-}"


def test_a_launcher_s_words_stay_words(rendered) -> None:
    script = rendered("""host='a b'; printf '<%s>' {{ "run --on={host} 'two words' $HOME" | launch }}""")
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == "<run><--on=a b><two words><$HOME>"
