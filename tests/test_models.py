"""The nets of configs/models: of the published shapes and sizes, made by their generators, fit to be submitted."""

import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from model_generators import MODELS
from model_generators.model import files

from engine import layers  # noqa: F401  registers them
from engine.data.lmdb_writer import LMDBWriter
from engine.net import weights
from engine.net.net import Net
from engine.proto import binary, text
from engine.proto import caffe_pb2 as pb
from engine.solver import settings
from engine.tools import model_arrays, model_folder, net_size
from hpcbrew.clusters import profiles
from hpcbrew.job import JobRequest
from hpcbrew.plan.build import plan_job
from hpcbrew.plan.hardware import Machine

CONFIGS = Path(__file__).parents[1] / "configs" / "models"

PUBLISHED = {
    "alexnet": (60_965_224, {"pool5": (256, 6, 6), "fc8": (1000,)}),
    "caffenet": (60_965_224, {"norm2": (256, 13, 13), "fc8": (1000,)}),
    "cifar10_full": (89_578, {"pool3": (64, 4, 4), "ip1": (10,)}),
    "cifar10_quick": (145_578, {"pool3": (64, 4, 4), "ip2": (10,)}),
    "densenet121": (7_978_856, {"concat_2_6": (256, 56, 56), "concat_5_16": (1024, 7, 7), "fc6": (1000, 1, 1)}),
    "fcn8s": (134_489_759, {"fc7": (4096, 16, 16), "score": (21, 500, 500)}),
    "googlenet": (6_998_552, {"inception_4e/output": (832, 14, 14), "pool5/7x7_s1": (1024, 1, 1)}),
    "mobilenet": (4_231_976, {"conv5_6/sep": (1024, 7, 7), "fc7": (1000, 1, 1)}),
    "nin": (7_595_176, {"conv3": (384, 13, 13), "pool4": (1000, 1, 1)}),
    "nin_cifar10": (966_986, {"conv3": (192, 8, 8), "pool3": (10, 1, 1)}),
    "resnet18": (11_689_512, {"res2b": (64, 56, 56), "res5b": (512, 7, 7), "fc1000": (1000,)}),
    "resnet50": (25_557_096, {"res2c": (256, 56, 56), "res5c": (2048, 7, 7), "fc1000": (1000,)}),
    "squeezenet": (1_235_496, {"fire9/concat": (512, 14, 14), "pool10": (1000, 1, 1)}),
    "vgg16": (138_357_544, {"pool5": (512, 7, 7), "fc8": (1000,)}),
}
"""Learnt parameters of the deployed net, and shapes of blobs, without the batch: as BVLC Caffe makes them of the nets
that their authors published, or as the papers and other implementations count them."""

FURTHER_LOSSES = {"googlenet": 13_378_280}
"""Learnt parameters in training, where they are more."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models, with a made picture where each net looks for its data."""
    top = tmp_path_factory.mktemp("models")
    for name in MODELS:
        shutil.copytree(CONFIGS / name, top / name)
    random = np.random.default_rng(0)
    sides = {"ilsvrc12_train_lmdb": 256, "ilsvrc12_val_lmdb": 256, "cifar10_train_lmdb": 32, "cifar10_test_lmdb": 32}
    for database, side in sides.items():
        with LMDBWriter(top / database) as writer:
            pixels = random.integers(0, 256, (3, side, side), np.uint8).tobytes()
            datum = pb.Datum(channels=3, height=side, width=side, data=pixels, label=7)
            for key in (b"0", b"1"):
                writer.put(key, datum.SerializeToString())
    for phase in ("train", "val"):
        cv2.imwrite(str(top / f"{phase}.png"), random.integers(0, 256, (40, 50, 3), np.uint8))
        cv2.imwrite(str(top / f"{phase}-classes.png"), random.integers(0, 21, (40, 50), np.uint8))
        (top / f"{phase}.txt").write_text(f"{phase}.png {phase}-classes.png\n")
    return top


def learnt(net: Net) -> int:
    return sum(math.prod(p.shape) for layer in net.layers for p in layer.params if p.learned)


def test_every_model_is_listed() -> None:
    assert PUBLISHED.keys() == MODELS.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_files_are_what_the_generator_makes(name: str) -> None:
    """scripts/gen_models makes them."""
    made = files(MODELS[name])
    assert {file: (CONFIGS / name / file).read_text("utf-8") for file in made} == made


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_deployed_net_has_the_published_shapes_and_number_of_parameters(name: str) -> None:
    parameters, shapes = PUBLISHED[name]
    net = Net.from_param(text.read_net(CONFIGS / name / "deploy.prototxt"), pb.TEST)
    assert learnt(net) == parameters
    assert {blob: net.blob_shapes[blob][1:] for blob in shapes} == shapes


@pytest.mark.parametrize("name", PUBLISHED)
def test_training_and_tests_know_the_same_net(name: str, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters, shapes = PUBLISHED[name]
    monkeypatch.chdir(folders)
    defined = text.read_net(folders / name / "train_val.prototxt")
    trained, tested = (Net.from_param(defined, phase) for phase in (pb.TRAIN, pb.TEST))
    assert learnt(trained) == learnt(tested) == FURTHER_LOSSES.get(name, parameters)
    shapes = {"score": (21, 40, 50)} if name == "fcn8s" else shapes
    for net in (trained, tested):
        assert {blob: net.blob_shapes[blob][1:] for blob in shapes} == shapes
    assert all("loss" in output for output in trained.output_names)
    assert any("accuracy" in output or "top-1" in output for output in tested.output_names)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_solver_tests_with_as_many_pictures_as_there_are(name: str) -> None:
    solver = text.read_solver(CONFIGS / name / "solver.prototxt")
    settings.check(solver)
    (batch,) = re.findall(
        r"phase: TEST.*?batch_size: (\d+)", (CONFIGS / name / "train_val.prototxt").read_text("utf-8"), re.DOTALL
    )
    there = 736 if name == "fcn8s" else 10_000 if "cifar10" in name else 50_000
    assert solver.test_iter[0] * int(batch) == there


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_gpu_cluster_takes_it_without_a_complaint(name: str, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders)
    asked = JobRequest(Path(name) / "solver.prototxt", gpus_per_node=1, gpu_type="V100", project="ee")
    plan = plan_job(asked, profiles.load("iitd"), Machine(2, 0), "0123abcd")
    assert (plan.missing, plan.warnings, plan.unknown) == ("", (), ())


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_readme_tells_what_is_measured_here(name: str) -> None:
    folder = model_folder.find(CONFIGS / name)
    size = net_size.of(Net.from_param(text.read_net(CONFIGS / name / "deploy.prototxt"), pb.TEST))
    assert {"name", "license"} <= folder.about.values.keys()
    assert folder.about.unknown() == []
    table = folder.about.path.read_text("utf-8").partition("| | published | here |")[2].partition("\n\n")[0]
    figures = [size.parameters, size.multiply_adds, *([size.state] if size.state else [])]
    assert [figure for figure in figures if f" {figure:,} |" not in table] == []


def test_the_colours_of_pascal_voc_are_classes(tmp_path: Path) -> None:
    """As VOC's development kit numbers them: black is the background, (128, 0, 0) aeroplane, (192, 128, 128) person."""
    voc = tmp_path / "VOC2012"
    for folder in ("ImageSets/Segmentation", "SegmentationClass", "JPEGImages"):
        (voc / folder).mkdir(parents=True)
    for part in ("train", "val"):
        (voc / "ImageSets" / "Segmentation" / f"{part}.txt").write_text(f"{part}_1\n")
        colours = [[(0, 0, 0), (0, 0, 128)], [(128, 128, 192), (192, 224, 224)]]  # blue, green, red
        cv2.imwrite(str(voc / "SegmentationClass" / f"{part}_1.png"), np.array(colours, np.uint8))
    script = CONFIGS / "fcn8s" / "make_lists.py"
    subprocess.run([sys.executable, script, "VOC2012"], cwd=tmp_path, check=True)
    picture, labels = (tmp_path / "train.txt").read_text().split()
    assert picture == str(voc / "JPEGImages" / "train_1.jpg")
    assert cv2.imread(labels, cv2.IMREAD_UNCHANGED).tolist() == [[0, 1], [15, 255]]


@pytest.mark.slow
def test_fcn_begins_with_what_vgg_has_learnt(tmp_path: Path) -> None:
    vgg = Net.from_param(text.read_net(CONFIGS / "vgg16" / "deploy.prototxt"), pb.TEST)
    learnt = [np.full(p.shape, i, np.float32) for i, p in enumerate(vgg.params)]
    binary.write(tmp_path / "vgg.caffemodel", weights.to_model(vgg, learnt))
    command = [sys.executable, CONFIGS / "fcn8s" / "init_weights.py", "vgg.caffemodel", "init.caffemodel"]
    subprocess.run(command, cwd=tmp_path, check=True)
    made = {(e.layer, e.index): e.values for e in model_arrays.read(tmp_path / "init.caffemodel").entries}
    assert made["fc6", 0].shape == (4096, 512, 7, 7)
    assert np.unique(made["fc6", 0]).tolist() == [26]
    assert np.unique(made["score_pool3", 0]).tolist() == [0]
    doubled = made["upscore2", 0]
    np.testing.assert_array_equal(doubled[3, 3, 1], [0.1875, 0.5625, 0.5625, 0.1875])
    assert np.count_nonzero(doubled) == 21 * 16


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_it_learns_from_made_pictures(name: str, folders: Path, tmp_path: Path) -> None:
    """Three iterations of two pictures, with `caffe train`, and a test of the model."""
    shutil.copytree(folders / name, tmp_path, dirs_exist_ok=True)
    definition = (tmp_path / "train_val.prototxt").read_text("utf-8")
    (tmp_path / "train_val.prototxt").write_text(re.sub(r"batch_size: \d+", "batch_size: 2", definition))
    solver = text.read_solver(tmp_path / "solver.prototxt")
    solver.net = str(tmp_path / "train_val.prototxt")
    solver.iter_size = solver.display = solver.test_iter[0] = 1
    solver.max_iter = solver.test_interval = 3
    solver.snapshot_prefix = str(tmp_path / name)
    text.write(tmp_path / "short.prototxt", solver)
    command = [sys.executable, "-m", "engine.cli", "train", "-solver", str(tmp_path / "short.prototxt"), "-nan", "stop"]
    done = subprocess.run(command, cwd=folders, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    losses = [float(loss) for loss in re.findall(r"Iteration \d+ .*loss = (\S+)", done.stderr)]
    assert len(losses) >= 3
    assert np.isfinite(losses).all()
    assert (tmp_path / f"{name}_iter_3.caffemodel").is_file()
