"""`caffe models`: model folders in the Model Zoo's layout."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli import flags
from engine.host import regular_file
from engine.printable import printable

if TYPE_CHECKING:
    from engine.tools.model_folder import ModelFolder

EPILOG = """\b
Examples:
  caffe models info squeezenet
  caffe models get configs/models/squeezenet
  caffe models get squeezenet -mirror /scratch/shared/caffemodels
"""

folder_argument = click.argument("folder", metavar="DIR|README", type=click.Path(path_type=Path))


@click.group("models", cls=flags.Group, epilog=EPILOG)
def models() -> None:
    """Show, fetch and check models that others have trained (Model Zoo)."""


@models.command(cls=flags.Command)
@folder_argument
def info(folder: Path) -> None:
    """Show what a model's README says and how large its nets are. A shipped model can be given by name."""
    from engine.tools import model_folder  # noqa: PLC0415

    ours = model_folder.shipped_as(folder)
    notes = [("", f"ships with hpcbrew, without parameters: {model_folder.copied(str(folder))}")] if ours else []
    model = ours or model_folder.find(folder)
    for key, value in (*notes, *_lines(model, fetch=not ours)):
        click.echo(f"{printable(key, one_line=True):18} {printable(value, one_line=True)}")


@models.command(cls=flags.Command, epilog=EPILOG)
@folder_argument
@click.option("--mirror", default="", metavar="DIR|URL", help="Take the file from this folder or base URL instead.")
def get(folder: Path, mirror: str) -> None:
    """Download a model's parameters, its .caffemodel, into its folder.

    A downloaded file is kept only if its SHA-1 is the README's. An interrupted download is resumed where it broke off,
    also by the next call. Proxies are taken from the environment: https_proxy, http_proxy, no_proxy.
    """
    from engine.tools import model_folder  # noqa: PLC0415

    model = model_folder.find(folder)
    sha1, fetched = model_folder.get(model, mirror)
    expected = model.about.get("sha1")
    verdict = (
        f"SHA-1 {sha1}, as the README says" if expected else f"SHA-1 {sha1}; the README has none to compare it with"
    )
    click.echo(f"{model.file}: {'fetched' if fetched else 'already there'}, {verdict}.")


@models.command(cls=flags.Command)
@folder_argument
def check(folder: Path) -> int:
    """Check a model's folder: front matter, prototxts, SHA-1, and whether the parameters fit the net. The exit status
    is 2 if anything is wrong."""
    from engine.tools import model_folder  # noqa: PLC0415

    model = model_folder.find(folder)
    faults = list(model_folder.faults(model))
    for fault in faults:
        click.echo(printable(fault))
    if faults:
        return 2
    missing = "" if regular_file.exists(model.file) else f"; {model.file.name} is not there (caffe models get)"
    click.echo(f"{model.path}: all well{missing}.")
    return 0


def _lines(model: "ModelFolder", *, fetch: bool) -> Iterator[tuple[str, str]]:
    for key, value in model.about.values.items():
        yield key, value
        if fetch and key == "caffemodel" and value and not regular_file.exists(model.file):
            yield "", f"not there: caffe models get {model.path} fetches it"
    for path in model.definitions():
        yield path.name, _size(path)


def _size(path: Path) -> str:
    """How large a net is. If it cannot be set up here (its data may be elsewhere), only the number of layers."""
    from engine.errors import EngineError  # noqa: PLC0415
    from engine.net.net import Net  # noqa: PLC0415
    from engine.proto import caffe_pb2 as pb  # noqa: PLC0415
    from engine.proto import text  # noqa: PLC0415
    from engine.tools import net_size  # noqa: PLC0415

    param = text.read_net(path)
    layers = f"{len(param.layer)} layers"
    try:
        net = Net.from_param(param, pb.TEST, path=path)
    except EngineError:
        return layers
    size = net_size.of(net)
    state = f" and {size.state:,} of state" if size.state else ""
    outputs = ", ".join(f"{name} {'×'.join(map(str, net.blob_shapes[name]))}" for name in net.output_names)
    return f"{layers}, {size.parameters:,} parameters{state}, {size.multiply_adds:,} multiply-adds a picture; {outputs}"
