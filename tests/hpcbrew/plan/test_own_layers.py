"""Layers from outside of the tree go along with the job."""

from pathlib import Path

import pytest

from engine.job_contract import Variable
from engine.proto import layer_modules
from hpcbrew.clusters import profiles
from hpcbrew.clusters.profiles import Cluster
from hpcbrew.errors import RequestError
from hpcbrew.job import JobPlan, JobRequest
from hpcbrew.plan.build import plan_job
from hpcbrew.plan.hardware import Machine
from hpcbrew.track import job_description

LAYER = """
from formulas import twice
from engine.layers.base import Layer
from engine.layers.registry import layer

@layer("Twice")
class Twice(Layer):
    pass
"""


@pytest.fixture
def own(model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A solver whose net has a layer of the user's own."""
    monkeypatch.setenv(Variable.LAYERS, "")
    (model / "mine").mkdir()
    (model / "mine" / "my_layers.py").write_text(LAYER)
    (model / "mine" / "formulas.py").write_text("twice = 2\n")
    net = model / "net.prototxt"
    net.write_text(net.read_text() + 'layer { name: "twice" type: "Twice" bottom: "data" top: "twice" }\n')
    layer_modules.use(str(model / "mine" / "my_layers.py"))
    return model


def plan(model: Path, **request: object) -> JobPlan:
    profile = Cluster.model_validate(
        {**profiles.values("iitd"), "name": "iitd", "caffe_module": {"load": "apps/Caffe"}}
    )
    return plan_job(JobRequest(model / "solver.prototxt", project="ee", **request), profile, Machine(2, 1), "0" * 8)  # type: ignore[arg-type]


def test_the_module_and_what_it_imports_are_shipped_and_the_engine_is_told(own: Path) -> None:
    made = plan(own)
    names = {upload.target.name for upload in made.definitions}
    assert {"my_layers.py", "formulas.py"} <= names
    assert not {"base.py", "registry.py"} & names
    assert "-layers my_layers\n" in made.script


def test_a_job_that_goes_on_is_told_again(own: Path) -> None:
    (job,) = (upload.content for upload in plan(own).definitions if upload.target.name == "job.json")
    described = job_description.read_description(job)
    assert described is not None
    assert described.layers == ("my_layers",)
    assert "my_layers.py" in described.definitions


def test_a_site_s_own_caffe_has_no_such_layers(own: Path) -> None:
    with pytest.raises(RequestError, match=r"the site's Caffe does not have your own layers \(my_layers\)"):
        plan(own, engine="module")
