"""A model's folder in the Model Zoo's layout: a README with front matter, prototxts, and the model's file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from engine import shipped, suggest
from engine.errors import DataError, EngineError
from engine.host import regular_file
from engine.proto import binary, text
from engine.proto import caffe_pb2 as pb
from engine.tools import download, front_matter
from engine.tools.front_matter import FrontMatter

README = "readme.md"
"""Compared ignoring case."""


@dataclass(frozen=True)
class ModelFolder:
    """The folder, and what its README says."""

    path: Path
    about: FrontMatter

    @property
    def file(self) -> Path:
        """The path of the model's file, which may not exist. Raises DataError if the README does not name it."""
        return self.path / self.about.need("caffemodel")

    def definitions(self) -> list[Path]:
        """The prototxts of nets, without solvers."""
        prototxts = sorted(self.path.glob("*.prototxt"))
        return [path for path in prototxts if "solver" not in path.name]


def find(path: Path) -> ModelFolder:
    """The model folder `path`, or that of the README `path`. Raises DataError without a README with front matter."""
    if not regular_file.exists(path):
        raise DataError(_absent(path))
    if not regular_file.is_folder(path):
        return ModelFolder(path.parent, front_matter.read(path))
    try:
        readmes = sorted(file for file in path.iterdir() if file.name.lower() == README)
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}.") from e
    if not readmes:
        raise DataError(f"{path}: has no README.md with a front matter of lines `key: value` that describe the model.")
    return ModelFolder(path, front_matter.read(readmes[0]))


def shipped_as(path: Path) -> ModelFolder | None:
    """The shipped model of that name; None if `path` exists as a file or folder, or no shipped model has the name."""
    folder = None if regular_file.exists(path) else shipped.models().get(str(path))
    return find(folder) if folder else None


def copied(name: str) -> str:
    """Tells the user how to get a shipped model as a folder of their own."""
    return f"hpcbrew new {name} copies it into a folder {name}, to be trained or changed"


def _absent(path: Path) -> str:
    models, name = shipped.models(), str(path)
    if name in models:
        return f"{name}: no such folder here. A model of that name ships with hpcbrew: {copied(name)}."
    near = suggest.did_you_mean(name, models, ignore_case=True)
    return (
        f"{path}: no such file or folder; give a model's folder, which has a README.md, or that README.md.{near} "
        f"Shipped models: {', '.join(models)}."
    )


def get(folder: ModelFolder, mirror: str = "") -> tuple[str, bool]:
    """Fetches the model's file into the folder. Returns its SHA-1, and whether it was fetched.

    `mirror`: a folder, or its URL, that has a file of the same name. An existing file is left unchanged. Raises
    DataError, also if the existing or the fetched file has another SHA-1 than the README says.
    """
    about, path, sha1 = folder.about, folder.file, folder.about.get("sha1")
    if regular_file.exists(path):
        found = download.digest(path)
        if sha1 and found != sha1.lower():
            raise DataError(
                f"{path}: already exists, with the SHA-1 {found}; {about.path}:{about.lines['sha1']} says "
                f"{sha1.lower()}. Remove or rename it to fetch the model."
            )
        return found, False
    return download.fetch(_source(folder, mirror), path, sha1, None if sha1 else read_model), True


def _source(folder: ModelFolder, mirror: str) -> str | Path:
    name = folder.file.name
    if "://" in mirror:
        return f"{mirror.rstrip('/')}/{quote(name)}"
    if mirror:
        return Path(mirror) / name
    url = folder.about.need("caffemodel_url")
    if not folder.about.get("sha1") and (problem := download.unsafe(url)):
        raise folder.about.wrong("caffemodel_url", problem)
    return url


def read_model(path: Path) -> pb.NetParameter:
    """The net with its parameters in a .caffemodel. Raises DataError for anything else, such as a login page."""
    try:
        net = binary.read_net(path)
    except EngineError as e:
        raise DataError(f"{path}: is not a .caffemodel: {e}") from e
    if not any(layer.blobs for layer in net.layer):
        raise DataError(f"{path}: is not a .caffemodel: none of its layers has parameters.")
    return net


def faults(folder: ModelFolder) -> Iterator[str]:
    """Messages about what is wrong with the folder: its keys, its prototxts, and the model's file, if that exists."""
    about = folder.about
    for key in ("name", "caffemodel", "caffemodel_url", "license", "sha1"):
        if not about.get(key):
            yield f"{about.path}: has no {key}.{suggest.did_you_mean(key, about.unknown())}"
    if not folder.definitions():
        yield f"{folder.path}: has no prototxt."
    deployed = None
    for path in folder.definitions():
        try:
            net = text.read_net(path)
        except EngineError as e:
            yield str(e)
            continue
        deployed = net if path.name == "deploy.prototxt" else deployed
    if about.get("caffemodel") and regular_file.exists(folder.file):
        yield from _of_the_file(folder, deployed)


def _of_the_file(folder: ModelFolder, deployed: pb.NetParameter | None) -> Iterator[str]:
    from engine.net import weights  # noqa: PLC0415  what needs JAX
    from engine.net.net import Net  # noqa: PLC0415

    path, sha1 = folder.file, folder.about.get("sha1")
    try:
        found = download.digest(path)
        model = read_model(path)
    except DataError as e:
        yield str(e)
        return
    if sha1 and found != sha1.lower():
        says = f"{folder.about.path}:{folder.about.lines['sha1']} says {sha1.lower()}"
        yield f"{path}: has the SHA-1 {found}, and {says}."
    if deployed is None:
        return
    try:
        net = Net.from_param(deployed, pb.TEST)
        weights.load_model(net, [None] * len(net.params), model, str(path))
    except EngineError as e:
        yield str(e)
        return
    with_arrays = {layer.name for layer in model.layer if layer.blobs}
    for layer in net.layers:
        if layer.params and layer.name not in with_arrays:
            yield f"{path}: has no parameters for layer {layer.name!r} of {folder.path / 'deploy.prototxt'}."
