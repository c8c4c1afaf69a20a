import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import h5py
import pytest

from engine.errors import EngineError, PrototxtError
from engine.proto import caffe_pb2 as pb
from engine.proto import model_shapes
from hpcbrew.errors import ManifestError
from hpcbrew.job import JobRequest
from hpcbrew.plan.items import Item
from hpcbrew.plan.manifest import Manifest, collect

PICTURE = b"P5 2 2 255\n0000"
"""A grey one of 2×2 pixels, in a format of a few bytes."""

RATE = 'base_lr: 0.1 lr_policy: "fixed" '


def manifest(model: Path, solver: str | None = None, net: str | None = None, **request: object) -> Manifest:
    """Of the model with its solver or net replaced."""
    for name, content in (("solver", solver), ("net", net)):
        if content is not None:
            (model / f"{name}.prototxt").write_text(content)
    return collect(replace(JobRequest(model / "solver.prototxt"), **request))  # type: ignore[arg-type]


def place(item: Item) -> str:
    return f"/there/{item.path.name}"


def layer(kind: str, body: str) -> str:
    return f'layer {{ name: "in" type: "{kind}" top: "data" top: "label" {body} }}'


def test_a_net_here_that_is_taken_for_the_one_beside_the_solver_is_told_of(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "elsewhere"
    here.mkdir()
    monkeypatch.chdir(here)
    assert not manifest(model).warnings
    net = (model / "net.prototxt").read_text()
    (here / "net.prototxt").write_text(net.replace("train_lmdb", str(model / "train_lmdb")))
    (warning,) = manifest(model).warnings
    assert f"the one in {here} is used, as in Caffe, and not {model / 'net.prototxt'}" in warning


def test_the_net_and_its_database_are_found_beside_the_solver(model: Path) -> None:
    found = manifest(model)
    assert set(found.definitions) == {"solver.prototxt", "net.prototxt"}
    assert [(item.role, item.path) for item in found.items] == [("database", model / "train_lmdb")]
    assert [path.name for path in found.items[0].files] == ["data.mdb"]


@pytest.mark.parametrize(
    ("kind", "body", "there", "written"),
    [
        ("Data", 'data_param { source: "/site/db" batch_size: 1 backend: LMDB }', "/site/db/data.mdb", '"/site/db"'),
        ("Data", 'data_param { source: "/site/db" batch_size: 1 }', "/site/db/CURRENT", '"/site/db"'),
        ("ImageData", 'image_data_param { source: "/site/l" root_folder: "/pics/" }', "/site/l", '"/pics/"'),
        ("ImageData", 'image_data_param { source: "own.txt" root_folder: "/pics/" }', "/pics/a.pgm", '"/pics/"'),
        ("ImageData", 'image_data_param { source: "whole.txt" }', "/pics/a.pgm", 'root_folder: "/"'),
        ("HDF5Data", 'hdf5_data_param { source: "hdf5.txt" batch_size: 1 }', "/site/a.h5", "/site/a.h5"),
    ],
    ids=["LMDB", "LevelDB", "a list", "the pictures of a list", "a list of whole names", "HDF5"],
)
def test_what_is_named_by_its_whole_path_and_is_not_here_is_the_clusters(
    kind: str, body: str, there: str, written: str, model: Path
) -> None:
    for name, line in (("own", "a.pgm 0"), ("whole", "/pics/a.pgm 0"), ("hdf5", "/site/a.h5")):
        (model / f"{name}.txt").write_text(f"{line}\n")
    (model / "net.prototxt").write_text(layer(kind, body))
    request = JobRequest(model / "solver.prototxt")
    found = collect(request, remote=True)
    assert [str(file) for item in found.items for file in item.files if item.on_cluster] == [there]
    assert any(written in text for text in found.texts(lambda item: str(item.path)).values())
    with pytest.raises(ManifestError, match=r"/site/|/pics/"):
        collect(request)


def test_weights_may_be_the_clusters_too_and_a_name_that_is_not_whole_is_not(model: Path) -> None:
    request = replace(JobRequest(model / "solver.prototxt"), weights=(Path("/site/a.caffemodel"),))
    assert [item.on_cluster for item in collect(request, remote=True).weights] == [True]
    with pytest.raises(ManifestError, match="if the cluster has it already, give its absolute path there"):
        collect(replace(request, weights=(Path("a.caffemodel"),)), remote=True)


def test_paths_are_rewritten_in_the_copy_only(model: Path) -> None:
    before = (model / "net.prototxt").read_text()
    texts = manifest(model).texts(place)
    assert texts["net.prototxt"].count('source: "/there/train_lmdb"') == 2
    assert 'net: "net.prototxt"' in texts["solver.prototxt"]
    assert (model / "net.prototxt").read_text() == before


@pytest.mark.parametrize(
    ("prefix", "shipped"),
    [('"a/b/tiny"', "snapshots/tiny"), ('"a/b/"', "snapshots/solver"), ('""', "snapshots/solver")],
)
def test_snapshots_go_to_the_run_folder(model: Path, prefix: str, shipped: str) -> None:
    found = manifest(model, f'{RATE} net: "net.prototxt" snapshot_prefix: {prefix}')
    assert found.solver.snapshot_prefix == shipped


def test_only_layers_that_will_run_need_their_files(model: Path) -> None:
    net = (model / "net.prototxt").read_text()
    net += layer("Data", 'include { phase: TEST stage: "deploy" } data_param { source: "gone" backend: LMDB }')
    assert len(manifest(model, net=net).items) == 1


@pytest.mark.parametrize(("name", "shipped"), [("net", "net-2"), ("Net", "Net-2")], ids=["", "on a Mac, as well"])
def test_train_and_test_nets_of_one_name_are_both_shipped(model: Path, name: str, shipped: str) -> None:
    (model / "t").mkdir()
    net = (model / "net.prototxt").read_text().replace("train_lmdb", "../train_lmdb")
    (model / "t" / f"{name}.prototxt").write_text(net)
    solver = RATE + f'train_net: "net.prototxt" test_net: "t/{name}.prototxt" test_iter: 1 test_interval: 1'
    found = manifest(model, solver)
    assert set(found.definitions) == {"solver.prototxt", "net.prototxt", f"{shipped}.prototxt"}
    assert list(found.solver.test_net) == [f"{shipped}.prototxt"]


def test_a_net_written_into_the_solver(model: Path) -> None:
    source = layer("Data", f'data_param {{ source: "{model}/train_lmdb" backend: LMDB batch_size: 1 }}')
    solver = f"{RATE}\nnet_param {{ {source} }}"
    assert '"/there/train_lmdb"' in manifest(model, solver).texts(place)["solver.prototxt"]
    with pytest.raises(ManifestError, match=f'^{model}/solver.prototxt:2: layer "in"'):
        manifest(model, solver.replace("train_lmdb", "gone"))


def test_means_weights_and_overrides(model: Path) -> None:
    for name in ("mean.binaryproto", "a.caffemodel", "b.caffemodel", "c.caffemodel"):
        (model / name).write_bytes(b"\n\x01x")
    found = manifest(
        model,
        RATE + 'net: "net.prototxt" weights: "a.caffemodel, c.caffemodel"',
        layer("Data", 'transform_param { mean_file: "mean.binaryproto" } ' + DATA.replace("db", "train_lmdb")),
        weights=(model / "b.caffemodel",),
        overrides=(("base_lr", "0.5"),),
    )
    assert [item.role for item in found.items] == ["weights", "weights", "database", "mean", "weights"]
    assert 'weights: "/there/a.caffemodel"\nweights: "/there/c.caffemodel"' in found.texts(place)["solver.prototxt"]
    assert "base_lr: 0.5" in found.texts(place)["solver.prototxt"]


def test_a_list_of_images_brings_its_images(model: Path) -> None:
    (model / "pics").mkdir()
    (model / "pics" / "a b.jpg").write_bytes(PICTURE)
    (model / "list.txt").write_text("a b.jpg 0\n")
    found = manifest(
        model,
        net=layer("ImageData", f'image_data_param {{ source: "list.txt" root_folder: "{model}/pics/" batch_size: 1 }}'),
    )
    images = found.items[1]
    assert (images.path, [path.name for path in images.files]) == (model / "pics", ["a b.jpg"])
    assert 'root_folder: "/there/pics/"' in found.texts(place)["net.prototxt"]


def test_a_relative_root_folder_lies_beside_its_prototxt_whatever_the_list_lies_in(model: Path) -> None:
    (model / "pics").mkdir()
    (model / "lists").mkdir()
    (model / "pics" / "a.jpg").write_bytes(PICTURE)
    (model / "lists" / "list.txt").write_text("a.jpg 0\n")
    body = 'image_data_param { source: "lists/list.txt" root_folder: "pics/" batch_size: 1 }'
    found = manifest(model, net=layer("ImageData", body))
    assert found.items[1].files == (model / "pics" / "a.jpg",)
    assert 'root_folder: "/there/pics/"' in found.texts(place)["net.prototxt"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("DenseImageData", 'dense_image_data_param { source: "list.txt" batch_size: 1 }'),
        ("ImageSegData", 'image_data_param { source: "list.txt" batch_size: 1 label_type: PIXEL }'),
        ("ImageLabelmapData", 'image_data_param { source: "list.txt" batch_size: 1 }'),
    ],
)
def test_the_labels_of_places_go_with_their_pictures(model: Path, kind: str, body: str) -> None:
    (model / "list.txt").write_text("a.jpg a.png\n")
    for name in ("a.jpg", "a.png"):
        (model / name).write_bytes(b"")
    images = next(item for item in manifest(model, net=layer(kind, body)).items if item.role == "images")
    assert [str(member) for member in images.members] == ["a.jpg", "a.png"]


def test_the_frames_of_videos_go_with_their_list(model: Path) -> None:
    (model / "list.txt").write_text("clip 2 0\n")
    (model / "clip").mkdir()
    for name in ("image_0001.jpg", "image_0002.jpg", "image_0003.jpg"):
        (model / "clip" / name).write_bytes(b"")
    block = 'video_data_param { source: "list.txt" batch_size: 1 modality: RGB }'
    found = manifest(model, net=layer("VideoData", block))
    images = next(item for item in found.items if item.role == "images")
    assert [str(member) for member in images.members] == ["clip/image_0001.jpg", "clip/image_0002.jpg"]
    assert 'root_folder: "data/images/"' in found.texts(lambda item: f"data/{item.role}")["net.prototxt"]


def test_absolute_names_in_a_list_are_taken_from_the_root(model: Path) -> None:
    (model / "a.jpg").write_bytes(PICTURE)
    (model / "list.txt").write_text(f"{model}/a.jpg 0\n")
    found = manifest(model, net=layer("ImageData", 'image_data_param { source: "list.txt" batch_size: 1 }'))
    assert found.items[1].files == (model / "a.jpg",)


def test_a_list_of_hdf5_files_is_rewritten_with_them(model: Path) -> None:
    with h5py.File(model / "a.h5", "w") as file:
        file["data"] = [1.0]
    (model / "list.txt").write_text("a.h5\n")
    found = manifest(model, net=layer("HDF5Data", 'hdf5_data_param { source: "list.txt" batch_size: 1 }'))
    assert [item.path.name for item in found.items] == ["a.h5"]
    texts = found.texts(place)
    assert texts["hdf5-0-list.txt"] == "/there/a.h5\n"
    assert 'source: "hdf5-0-list.txt"' in texts["net.prototxt"]


def test_a_solver_state_brings_its_model(model: Path) -> None:
    for name in ("tiny_iter_2.solverstate", "tiny_iter_2.caffemodel", "tiny_iter_4.caffemodel"):
        (model / name).write_bytes(b"x")
    found = manifest(model, resume=model / "tiny_iter_2.solverstate")
    assert found.resume is not None
    assert [path.name for path in found.resume.files] == ["tiny_iter_2.solverstate", "tiny_iter_2.caffemodel"]


DATA = 'data_param { source: "db" backend: LMDB batch_size: 1 }'
FAULTS = {
    "no database": (None, layer("Data", DATA), r'net.prototxt:1: layer "in" \(Data\): data_param.source: no LMDB at'),
    "no list": (None, layer("ImageData", 'image_data_param { source: "l" }'), "image_data_param.source: no list of"),
    "no model": (f'{RATE}\nnet: "net.prototxt"\nweights: "m"', None, r"solver.prototxt:3: weights: no weights at m"),
    "no mean": (None, layer("DummyData", 'transform_param { mean_file: "m" }'), "mean_file: no mean at m"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_missing_is_named_with_the_line_that_asks_for_it(model: Path, fault: str) -> None:
    solver, net, said = FAULTS[fault]
    with pytest.raises(ManifestError, match=said):
        manifest(model, solver, net)


def test_an_empty_folder_is_no_database(model: Path) -> None:
    (model / "db").mkdir()
    with pytest.raises(ManifestError, match=r"is not a LMDB: it contains no file data\.mdb"):
        manifest(model, net=layer("Data", DATA))


def test_an_empty_database_file(model: Path) -> None:
    (model / "db").mkdir()
    (model / "db" / "data.mdb").touch()
    with pytest.raises(ManifestError, match="is empty"):
        manifest(model, net=layer("Data", DATA))


def test_the_other_kind_of_database_is_recognised(model: Path) -> None:
    with pytest.raises(ManifestError, match="it is the other kind of database"):
        manifest(model, net=layer("Data", 'data_param { source: "train_lmdb" backend: LEVELDB }'))


def test_a_solver_state_without_its_model(model: Path) -> None:
    (model / "tiny_iter_2.solverstate").write_bytes(b"x")
    with pytest.raises(ManifestError, match=r"tiny_iter_2\.caffemodel, is not beside it"):
        manifest(model, resume=model / "tiny_iter_2.solverstate")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (RATE, r"solver\.prototxt: a solver needs one train net"),
        ('net: "net.prototxt" base_lr: 1 lr_policy: "fixd"', r'solver\.prototxt:\d+: unknown lr_policy "fixd"'),
        (RATE + 'net: "net.prototxt" type: "SGDD"', 'unknown solver type "SGDD"'),
    ],
)
def test_a_solver_whose_settings_cannot_work_is_refused_here(model: Path, settings: str, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        manifest(model, settings)


def test_a_net_that_does_not_fit_together_is_refused_here(model: Path) -> None:
    with pytest.raises(EngineError, match="bottom"):
        manifest(model, net='layer { name: "ip" type: "InnerProduct" bottom: "nothing" top: "ip" }')


def test_a_test_net_whose_layers_do_not_fit_is_refused_here(model: Path) -> None:
    net = 'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "y" include { phase: TEST } }'
    data = layer("Data", 'data_param { source: "train_lmdb" batch_size: 1 backend: LMDB }')
    with pytest.raises(EngineError, match=r"net\.prototxt:1: .*needs num_output"):
        manifest(model, RATE + 'net: "net.prototxt" test_iter: 1 test_interval: 1', data + net)


@pytest.mark.parametrize(
    ("content", "said"), [("", "lists nothing"), ("a.jpg cat\n", "list.txt:1:"), ("gone.jpg 0\n", "does not exist")]
)
def test_a_list_of_images_that_cannot_be_used(model: Path, content: str, said: str) -> None:
    (model / "list.txt").write_text(content)
    with pytest.raises(ManifestError, match=said):
        manifest(model, net=layer("ImageData", 'image_data_param { source: "list.txt" batch_size: 1 }'))


PYTHON = """
layer { name: "in" type: "Python" top: "data" top: "label" python_param { module: "noise" layer: "Noise" } }
"""


def test_a_python_layers_module_goes_into_the_run_folder(model: Path) -> None:
    (model / "noise.py").write_text("import rates\n")
    (model / "rates.py").write_text("x = 1\n")
    found = manifest(model, net=PYTHON)
    assert found.texts(place).items() >= {"noise.py": "import rates\n", "rates.py": "x = 1\n"}.items()
    assert found.unknown == ('which files layer "in" (Python) opens itself: they are not sent',)


def test_a_module_that_is_not_here_is_told_of(model: Path) -> None:
    found = manifest(model, net=PYTHON)
    assert not found.modules
    said, _, rest = found.unknown[0].partition(str(model))
    assert said.startswith('whether the cluster has the module "noise" of layer "in" (Python): it is not in ')
    assert rest.endswith("and is not sent; if it is on this machine, put its folder on PYTHONPATH")


def test_a_module_that_is_no_python_3_names_layer_file_and_line(model: Path) -> None:
    (model / "noise.py").write_text("import os\nprint 'x'\n")
    with pytest.raises(ManifestError, match=r"net.prototxt:2: .*module noise: .*noise.py:2\)\. .*2to3"):
        manifest(model, net=PYTHON)


def test_a_net_of_another_machine_names_the_way_out(model: Path) -> None:
    with pytest.raises(PrototxtError) as error:
        manifest(model, f'{RATE}\nnet: "far/away/net.prototxt"')
    assert str(error.value).startswith(f"{model}/solver.prototxt:2: net: far/away/net.prototxt: no such file, from ")
    assert str(error.value).endswith(f'write net: "net.prototxt", or --set net={model}/net.prototxt.')
    assert manifest(model, overrides=(("net", f"{model}/net.prototxt"),)).definitions.keys() >= {"net.prototxt"}


def test_data_of_another_machine_names_what_lies_beside_the_net(model: Path) -> None:
    net = layer("Data", 'data_param { source: "/far/away/train_lmdb" backend: LMDB }')
    with pytest.raises(ManifestError, match=rf"no LMDB at /far/away/train_lmdb\. {model}/train_lmdb has that name: "):
        manifest(model, net=net)


def test_without_a_test_no_test_data_are_needed(model: Path) -> None:
    net = (model / "net.prototxt").read_text()
    net = net.replace('"train_lmdb"', '"gone"').replace('"gone"', '"train_lmdb"', 1)
    assert len(manifest(model, f'{RATE} net: "net.prototxt" test_iter: 0', net).items) == 1


def test_a_name_that_no_file_can_have_is_told(model: Path) -> None:
    long = "x" * 300
    with pytest.raises(ManifestError, match=rf"--weights: {long}: File name too long"):
        manifest(model, weights=(Path(long),))
    with pytest.raises(ManifestError, match=r"solver\.prototxt:1: weights: .*File name too long"):
        manifest(model, f'{RATE} net: "net.prototxt" weights: "/{long}"')
    (model / "list").write_text(f"{long} 1\n")
    with pytest.raises(ManifestError, match=r"image_data_param\.source: .*File name too long"):
        manifest(model, f'{RATE} net: "net.prototxt"', layer("ImageData", 'image_data_param { source: "list" }'))


SAVED = """layer { name: "prior" type: "DummyData" top: "prior" dummy_data_param { shape { dim: [1, 2, 4] } } }
layer { name: "found" type: "DetectionOutput" bottom: "data" bottom: "data" bottom: "prior" top: "found"
  detection_output_param { num_classes: 4 save_output_param { output_directory: "out" output_format: "VOC"
    label_map_file: "/nowhere/labelmap.prototxt" name_size_file: "sizes.txt" } } }
layer { name: "judged" type: "DetectionEvaluate" bottom: "found" bottom: "label" top: "judged"
  detection_evaluate_param { num_classes: 2 name_size_file: "sizes.txt" } }
"""


def test_a_detector_s_lists_go_along_but_for_those_of_its_author_s_machine(model: Path) -> None:
    (model / "sizes.txt").write_text("a 1 1\n")
    found = manifest(model, net=(model / "net.prototxt").read_text() + SAVED)
    texts = found.texts(place)
    assert texts["net.prototxt"].count('name_size_file: "/there/sizes.txt"') == 2
    assert '"/nowhere/labelmap.prototxt"' in texts["net.prototxt"]
    (model / "sizes.txt").unlink()
    with pytest.raises(ManifestError, match=r"name_size_file: no list of sizes at sizes\.txt"):
        manifest(model)


@pytest.mark.parametrize(
    ("outputs", "said"),
    [(2, None), (1000, r"m\.caffemodel: Cannot copy param 0 .* 'ip' .* is 1000 4 \(4000\); target param shape is 2 4")],
)
def test_a_model_that_does_not_fit_the_net_is_told_of(model: Path, outputs: int, said: str | None) -> None:
    layer = pb.LayerParameter(name="ip", blobs=[blob(outputs, 4), blob(outputs)])
    other = pb.LayerParameter(name="gone", blobs=[blob(7)])
    (model / "m.caffemodel").write_bytes(pb.NetParameter(layer=[other, layer]).SerializeToString())
    with pytest.raises(ManifestError, match=said) if said else nullcontext():
        manifest(model, weights=(model / "m.caffemodel",))


def test_what_is_no_model_is_told_of(model: Path) -> None:
    with pytest.raises(ManifestError, match=r"net\.prototxt: is not a binary model, or is truncated"):
        manifest(model, weights=(model / "net.prototxt",))
    (model / "m.caffemodel.h5").write_bytes(model_shapes.HDF5)
    manifest(model, weights=(model / "m.caffemodel.h5",))


def blob(*shape: int) -> pb.BlobProto:
    return pb.BlobProto(shape=pb.BlobShape(dim=shape), data=[0.0] * math.prod(shape))
