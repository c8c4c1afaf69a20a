"""The recipes of configs/models: their nets build and can be sent; run as their pages say, they show what is said."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine import layers  # noqa: F401  registers them
from engine.data.lmdb_writer import LMDBWriter
from engine.net.net import Net
from engine.proto import caffe_pb2 as pb
from engine.proto import text
from hpcbrew.clusters import profiles
from hpcbrew.job import JobRequest
from hpcbrew.plan.build import plan_job
from hpcbrew.plan.hardware import Machine

CONFIGS = Path(__file__).parents[1] / "configs" / "models"
FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Of Debian's dataset-fashion-mnist."""
RECIPES = ["brewing_logreg", "finetune", "lrcn", "mnist_autoencoder", "mnist_siamese", "net_surgery", "rcnn", "sds"]
SOLVERS = [
    str(path.relative_to(CONFIGS)) for name in RECIPES for path in sorted((CONFIGS / name).glob("*solver.prototxt"))
]
MAKES = {
    "brewing_logreg": ["data.py"],
    "lrcn": ["data.py", "150"],
    "rcnn": ["shapes.py", "20"],
    "sds": ["data.py", "40"],
}
"""The scripts that make a recipe's data, and how much of them is enough to look at."""
DIGITS = {
    "mnist_autoencoder/made/mnist_train_lmdb": 1,
    "mnist_autoencoder/made/mnist_test_lmdb": 1,
    "finetune/made/fashion_train_lmdb": 1,
    "finetune/made/fashion_test_lmdb": 1,
    "mnist_siamese/made/pairs_train_lmdb": 2,
    "mnist_siamese/made/pairs_test_lmdb": 2,
}
"""The databases of digits, with their channels."""


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of the recipes, with a little of the data that each one makes."""
    top = tmp_path_factory.mktemp("recipes")
    for name in RECIPES:
        shutil.copytree(CONFIGS / name, top / name, ignore=shutil.ignore_patterns("made"))
    for name, script in MAKES.items():
        subprocess.run([sys.executable, *script], cwd=top / name, check=True)
    for database, channels in DIGITS.items():
        (top / database).parent.mkdir(exist_ok=True)
        datum = pb.Datum(channels=channels, height=28, width=28, data=bytes(channels * 784), label=1)
        with LMDBWriter(top / database) as writer:
            writer.put(b"0", datum.SerializeToString())
    (top / "rcnn/made/features_train.txt").write_text("features_train.h5\n")
    shutil.copy(top / "brewing_logreg/made/train.h5", top / "rcnn/made/features_train.h5")
    return top


@pytest.mark.parametrize("name", RECIPES)
def test_every_net_of_a_recipe_builds(name: str, recipes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recipes / name)
    for solver in sorted((recipes / name).glob("*solver.prototxt")):
        defined = text.read_net(recipes / name / text.read_solver(solver).net)
        for phase in (pb.TRAIN, pb.TEST):
            assert any("loss" in output for output in Net.from_param(defined, phase).output_names)
    for deployed in sorted((recipes / name).glob("*deploy.prototxt")):
        assert Net.from_param(text.read_net(deployed), pb.TEST).output_names


@pytest.mark.parametrize("name", ["finetune", "mnist_autoencoder", "mnist_siamese", "rcnn", "sds", "lrcn"])
def test_a_deployed_net_takes_what_the_trained_one_has_learned(
    name: str, recipes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recipes / name)
    trained, deployed = (
        {layer.name: [p.shape for p in layer.params] for layer in Net.from_param(text.read_net(file), pb.TEST).layers}
        for file in ("train_val.prototxt", "deploy.prototxt")
    )
    learned = {layer: shapes for layer, shapes in deployed.items() if shapes}
    assert learned.items() <= trained.items()


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_gpu_cluster_takes_it_without_a_complaint(
    solver: str, recipes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recipes)
    asked = JobRequest(Path(solver), gpus_per_node=1, gpu_type="V100", project="ee")
    plan = plan_job(asked, profiles.load("iitd"), Machine(2, 0), "0123abcd")
    assert (plan.missing, plan.warnings, plan.unknown) == ("", (), ())


def ran(recipe: Path, *arguments: str, **environment: str) -> str:
    """What a recipe says, run as its page says but shorter."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [recipe / "run", *arguments],
        env=os.environ | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def figure(said: str, pattern: str) -> float:
    """The number that the last match of a pattern ends with."""
    return float(re.findall(rf"{pattern}\s*([\d.]+)", said)[-1])


@pytest.fixture
def recipe(request: pytest.FixtureRequest, tmp_path: Path, home: Path) -> Path:
    """A copy of the recipe, as `hpcbrew new` makes it; jobs go to a queue of the test's own."""
    shutil.copytree(CONFIGS / request.param, tmp_path / request.param, ignore=shutil.ignore_patterns("made"))
    return tmp_path / request.param


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["mnist_autoencoder"], indirect=True)
def test_the_solver_showdown_is_one_sweep_and_one_plot(recipe: Path) -> None:
    said = ran(recipe, "20")
    kinds = ("SGD", "Nesterov", "AdaGrad", "AdaDelta", "Adam")
    losses = [figure(said, rf"type {kind},[^)]*\): done; test at iteration 20: cross_entropy_loss") for kind in kinds]
    assert all(150 < loss < 300 for loss in losses)
    assert (recipe / "made/showdown.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["brewing_logreg"], indirect=True)
def test_the_non_linear_extension_is_clearly_better(recipe: Path) -> None:
    said = ran(recipe, "1000")
    linear, nonlinear = re.findall(r"Test at iteration 1000: accuracy ([\d.]+)", said)
    assert 0.68 < float(linear) < 0.75
    assert float(nonlinear) > 0.84


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["mnist_siamese"], indirect=True)
def test_the_siamese_net_puts_like_digits_together(recipe: Path) -> None:
    assert figure(ran(recipe, "300"), "nearest neighbour:") > 0.4


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["finetune"], indirect=True)
def test_fine_tuning_is_better_than_from_scratch(recipe: Path) -> None:
    """To clothes; where Fashion-MNIST is not installed, to the digits anew."""
    said = ran(recipe, "20", FASHION=str(FASHION if FASHION.exists() else CONFIGS / "lenet" / "digits"))
    finetuned, frozen, scratch, _ = re.findall(r"Test at iteration 20: accuracy ([\d.]+)", said)
    assert float(finetuned) > float(scratch)
    assert float(frozen) > float(scratch)
    assert "Copied by name: conv1, conv2, ip1. Not in it: ip2_fashion." in said


@pytest.mark.parametrize("recipe", ["finetune"], indirect=True)
def test_where_the_clothes_are_missing_it_says_where_to_get_them(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="apt install dataset-fashion-mnist"):
        ran(recipe, FASHION=str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["net_surgery"], indirect=True)
def test_the_convolutional_net_has_the_classifier_s_scores(recipe: Path) -> None:
    said = ran(recipe, "100")
    assert "scores at 22×22 places" in said
    differs = re.search(r"largest difference of any score: (\S+), of scores up to ([\d.]+)", said)
    assert differs
    assert float(differs[1]) < 1e-4 * float(differs[2])


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["rcnn"], indirect=True)
def test_r_cnn_finds_objects_far_better_than_chance(recipe: Path) -> None:
    said = ran(recipe, "80", "400")
    found, chance = map(float, re.findall(r"mean average precision ([\d.]+), by chance ([\d.]+)", said)[0])
    assert found > 0.4
    assert chance < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["sds"], indirect=True)
def test_two_streams_see_what_neither_sees_alone(recipe: Path) -> None:
    said = ran(recipe, "300", "2000")
    both, box, region = (
        figure(said, rf"Test at iteration 300: .*?{name}") for name in ("accuracy", "accuracy_box", "accuracy_region")
    )
    assert both > 0.9
    assert max(box, region) < 0.7


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["lrcn"], indirect=True)
def test_the_lstm_says_what_the_pictures_show(recipe: Path) -> None:
    assert figure(ran(recipe, "500"), "right throughout:") > 0.8


def test_boxes_are_measured_and_suppressed_and_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(CONFIGS / "rcnn")
    import boxes

    squares = np.array([[0, 0, 9, 9], [0, 0, 9, 4], [20, 20, 29, 29]])
    assert boxes.overlaps(squares, squares[0]).tolist() == [1, 0.5, 0]
    assert boxes.non_maximum_suppression(squares, np.array([0.1, 0.9, 0.5])) == [1, 2]
    found = [(0.9, "a", squares[0]), (0.8, "a", squares[0]), (0.7, "b", squares[2])]
    assert boxes.average_precision(found, {"a": squares[:1], "b": squares[2:]}) == pytest.approx(0.5 + 0.5 * 2 / 3)
