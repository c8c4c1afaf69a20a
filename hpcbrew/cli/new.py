"""`hpcbrew new`."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from engine import shipped
from engine.errors import EngineError
from hpcbrew.cli.output import say, tell, wrapped_command
from hpcbrew.clusters import user_settings
from hpcbrew.errors import HpcbrewError
from hpcbrew.start import folder

SHOWN = 5
"""The most left-out files that are named one by one."""


def complete_source(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completes folders and files, and the models that ship with hpcbrew."""
    return [CompletionItem(incomplete, "file"), *map(CompletionItem, shipped.models())]


class _Command(click.Command):
    """Adds the names of the models to the help; they are looked up in a folder, and only when help is shown."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        formatter.write_text(f"Models: {', '.join(shipped.models())}.")


@click.command(cls=_Command)
@click.argument("source", metavar="FOLDER|LIST|MODEL", shell_complete=complete_source)
@click.argument("target", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--side", type=click.IntRange(16, 512), metavar="N", help="Stretch pictures to N×N. Default: as fits.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the random split.")
def command(source: str, target: Path | None, side: int | None, seed: int) -> None:
    """Create a folder to train from: for your own pictures, or a copy of a model that ships with hpcbrew.

    FOLDER has a sub-folder of pictures for each class; LIST is a file with one picture per line, NAME LABEL. The new
    folder DIR (default: FOLDER-net) gets lists for training, validation and test, split at random but reproducibly for
    the same seed, a solver, and a small net that suits the size and number of the pictures. The pictures stay where
    they are. The name of a MODEL means that model even if there is a folder of the same name: write ./lenet for the
    folder.

    \b
    Examples:
      hpcbrew new pictures
      hpcbrew new pictures.txt pets --side 128
      hpcbrew new lenet my-lenet
      hpcbrew new resnet50 my-resnet
    """
    path = Path(source)
    if source in shipped.models() or not path.exists():
        lines = _of_model(source, target or Path(source))
    else:
        name = path.absolute().name if path.is_dir() else path.stem
        lines = _of_pictures(path, target or Path(f"{name}-net"), side, seed)
    for line in lines:
        say(wrapped_command(line)) if line.startswith("  ") else tell(line)


def _of_pictures(source: Path, target: Path, side: int | None, seed: int) -> list[str]:
    from hpcbrew.start import pictures, small_net  # noqa: PLC0415 - slow to import, and not needed for a model

    images = pictures.of_folder(source) if source.is_dir() else pictures.of_list(source)
    division = pictures.divide(images, seed)
    net = small_net.design(folder.net_name(target), images, division, side)
    folder.write(target, {**folder.texts(images, division), **small_net.prototxts(net)})
    size = f"{net.size[0]}×{net.size[1]}"
    lines = [
        f"{target}: {len(images.names)} {'grey ' if net.grey else ''}pictures of {len(images.classes)} classes: "
        f"{net.train} for training (train.txt), {net.val} for validation (val.txt), {net.test} for the test (test.txt)",
        f"Net: {len(net.channels)} convolutions, pictures {'stretched to' if net.stretch else 'of'} {size}; "
        f"{net.max_iter} iterations of {net.batch} pictures (train_val.prototxt, solver.prototxt, deploy.prototxt)",
    ]
    lines += [f"Left out: {fault}" for fault in images.left_out[:SHOWN]]
    lines += [f"Left out: {more} more"] if (more := len(images.left_out) - SHOWN) > 0 else []
    model = shlex.quote(str(target / "train_val.prototxt"))
    return [
        *lines,
        "Next:",
        *_next(target / "solver.prototxt"),
        f"  caffe test -model {model} -stage test -iterations {net.final_iter} -weights MODEL.caffemodel",
    ]


def _of_model(name: str, target: Path) -> list[str]:
    from hpcbrew.job import JobRequest  # noqa: PLC0415 - as above
    from hpcbrew.plan.manifest import collect  # noqa: PLC0415

    folder.copy(name, target)
    solvers = sorted(target.glob("*solver*.prototxt"), key=lambda path: (len(path.name), path.name))
    lines = [f"{target}: {', '.join(path.name for path in sorted(target.iterdir()))}"]
    if (recipe := target / "run").exists():
        return [
            *lines,
            f"Next, prepare its data, train and evaluate ({target / 'README.md'}):",
            f"  {shlex.quote(str(recipe))}",
        ]
    for solver in solvers[:1]:
        try:
            collect(JobRequest(solver))
        except (HpcbrewError, EngineError) as error:
            lines.append(f"Before it can train: {error}")
            lines += ["README.md there says where its data are from"] if (target / "README.md").exists() else []
    return [*lines, "Next:", *(line for solver in solvers[:1] for line in _next(solver))]


def _next(solver: Path) -> Sequence[str]:
    cluster = "" if user_settings.read().get("cluster") else " --cluster local"
    return [f"  hpcbrew submit {shlex.quote(str(solver))}{cluster} --follow"]
