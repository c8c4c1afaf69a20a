"""Writes the folder, completely or not at all."""

import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from engine import shipped
from engine.suggest import did_you_mean
from hpcbrew import full_disk
from hpcbrew.errors import RequestError
from hpcbrew.start.pictures import Division, Pictures

CLASSES = "classes.txt"

NOT_COPIED = shutil.ignore_patterns(
    "*_lmdb", "*_leveldb", "*.caffemodel*", "*.solverstate*", "made", "__pycache__", ".*"
)
"""What is not copied from a model's folder: data and trained models; recipes keep them in `made`."""


def texts(pictures: Pictures, division: Division) -> dict[str, str]:
    """Returns the lists, and the file of class names: line n is class n, counted from 0."""
    lists = {"train.txt": division.train, "val.txt": division.val, "test.txt": division.test}
    list_texts = {file: "".join(f"{name} {label}\n" for name, label in part) for file, part in lists.items()}
    return list_texts | {CLASSES: "".join(f"{name}\n" for name in pictures.classes)}


def write(target: Path, files: Mapping[str, str]) -> None:
    """Makes the folder `target` from these files. Raises RequestError if it exists already or cannot be written."""

    def fill(folder: Path) -> None:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")

    _make(target, fill)


def copy(name: str, target: Path) -> None:
    """Copies a model's definitions to the folder `target`. Raises RequestError, also if there is no such model."""
    models = shipped.models()
    if name not in models:
        hint = did_you_mean(name, models, repr, ignore_case=True)
        raise RequestError(
            f"{name}: no such folder, list or model.{hint} Models that ship: {', '.join(models)}. For your own "
            "pictures, give their folder, with a sub-folder for each class"
        )
    _make(target, lambda folder: shutil.copytree(models[name], folder, dirs_exist_ok=True, ignore=NOT_COPIED))


def net_name(target: Path) -> str:
    """Returns a name for the net in the folder `target`, which its job gets too: `pets-small` for `pets-net`. It
    differs from the folder's, since `hpcbrew fetch` makes a folder with the job's name."""
    clean = re.sub(r"[^A-Za-z0-9_.+-]+", "-", target.absolute().name).strip("-.").removesuffix("-net")
    return f"{clean if re.match('[A-Za-z_]', clean) else f'net-{clean}'}-small".replace("--", "-")


def _make(target: Path, fill: Callable[[Path], object]) -> None:
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise RequestError(f"{target}: exists already, and nothing of yours is overwritten: name another folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as temporary:
            new_folder = Path(temporary) / target.name
            new_folder.mkdir()
            fill(new_folder)
            new_folder.replace(target)
    except OSError as error:
        remedy = full_disk.remedy(error.strerror, full_disk.LOCAL)
        raise RequestError(f"{target}: cannot be written: {error.strerror or error}{remedy}") from None
