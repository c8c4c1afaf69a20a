import json
import sys
from importlib import metadata
from pathlib import Path

from hpcbrew import engine_facts, layout
from hpcbrew.check import software
from hpcbrew.check.finding import Checked, Mark
from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.transports.local import Local


def site(**values: object) -> Checked:
    given = {**profiles.values("openpbs"), "name": "local", "transport": "local", **values}
    return Checked(Cluster.model_validate(given), Local())


def test_jobs_on_this_machine_run_in_this_python_and_engine() -> None:
    here = Checked(profiles.load("local"), Local())
    (python,), (engine,) = software.python(here), software.engine(here)
    assert python.found.endswith(sys.executable)
    assert (engine.mark, engine.found) == (Mark.OK, metadata.version("hpcbrew"))


def test_an_engine_that_is_not_there_is_installed_by_setup(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (found,) = software.engine(site(scratch=str(tmp_path)))
    assert (found.mark, found.remedy) == (Mark.BAD, "hpcbrew setup local")


def test_an_older_engine_is_a_warning(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    installed(tmp_path, "0.0.1")
    (found,) = software.engine(site(scratch=str(tmp_path)))
    assert found.mark is Mark.WARN
    assert found.found.startswith("0.0.1 there, ")


def test_an_engine_of_the_same_version_and_other_code_is_a_warning(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = installed(tmp_path, metadata.version("hpcbrew"))
    facts = engine_facts.of("hpcbrew.whl", "0", "engine")
    marks = []
    for code in (facts["code"], "another"):
        (folder / layout.ENGINE_FACTS).write_text(json.dumps({**facts, "code": code}))
        (found,) = software.engine(site(scratch=str(tmp_path)))
        marks.append(found.mark)
    assert marks == [Mark.OK, Mark.WARN]


def installed(scratch: Path, version: str) -> Path:
    folder = scratch / "engine"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "caffe").write_text(f"#!/bin/sh\necho caffe {version}\n")
    (folder / "bin" / "caffe").chmod(0o755)
    return folder


def test_an_engine_that_prints_no_version_is_a_warning(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    installed(tmp_path, "")
    (tmp_path / "engine" / "bin" / "caffe").write_text("#!/bin/sh\n")
    (found,) = software.engine(site(scratch=str(tmp_path)))
    assert (found.mark, found.found.partition(",")[0]) == (Mark.WARN, "an unknown version there")


def test_modules_are_looked_for_in_the_folders_of_the_profile_too(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".bash_profile").write_text('module() { [ "$1" = use ] && soft=$2 || [ -n "$soft" ]; }\n')
    own = {"scratch": str(tmp_path), "modules": [{"load": "conda"}]}
    (missing,) = software.modules(site(**own))
    (found,) = software.modules(site(**own, module_use=["/soft/modulefiles"]))
    assert (missing.mark, found.mark) == (Mark.BAD, Mark.OK)
