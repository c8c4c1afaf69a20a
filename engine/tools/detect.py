"""`detect.py INPUT OUTPUT`: classifies windows of pictures with a deploy net."""

import csv
import io
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from engine.errors import DataError
from engine.host import atomic_file, regular_file
from engine.tools import command, deployed
from engine.tools.command import tool
from engine.tools.deployed import Deployed

if TYPE_CHECKING:
    from engine.python.caffe.detector import Detection

COORDINATES = ("ymin", "xmin", "ymax", "xmax")

EPILOG = """\b
Example:
  detect.py --crop_mode list --model_def deploy.prototxt --pretrained_model net.caffemodel --mean_file '' in.csv out.csv
"""


@tool("detect.py", EPILOG)
@click.argument("source", metavar="INPUT", type=Path)
@click.argument("target", metavar="OUTPUT", type=Path)
@deployed.flags
@click.option(
    "--crop_mode",
    type=click.Choice(["list", "selective_search"]),
    default="selective_search",
    show_default=True,
    help="Take the windows from the .csv, or from selective search, which needs MATLAB.",
)
@click.option(
    "--context_pad",
    type=int,
    default=16,
    show_default=True,
    metavar="N",
    help="Add this many pixels of context on each side of a window.",
)
def detect(source: Path, target: Path, of: Deployed, crop_mode: str, context_pad: int) -> None:
    """Classify windows of the pictures listed in INPUT.

    INPUT is a .txt with a list of pictures, or a .csv with the header filename,xmin,ymin,xmax,ymax. OUTPUT is a .csv,
    or an .h5 for pandas.
    """
    deployed.check(of)
    listed = crop_mode == "list"
    if source.suffix.lower() not in (".csv",) if listed else source.suffix.lower() not in (".txt", ".csv"):
        raise DataError(
            f"{source}: {'--crop_mode list needs a .csv with windows' if listed else 'neither a .txt nor a .csv'}."
        )
    if target.suffix.lower() != ".csv":
        _pandas()
    windows = read_windows(source) if listed else {}
    names = [] if listed else read_names(source)
    from engine.python.caffe.detector import Detector  # noqa: PLC0415  imports JAX, which --help does not need

    deployed.set_mode(of.gpu)
    settings = deployed.preprocessing(of)
    if settings["mean"] is not None and settings["mean"].ndim == 3:
        settings["mean"] = settings["mean"].mean((1, 2))  # a window has no fixed position in a mean image
    net = Detector(of.model_def, of.pretrained_model, context_pad=context_pad, **settings)
    print("Loading input...")
    start = time.perf_counter()
    detections = net.detect_windows(windows.items()) if listed else net.detect_selective_search(names)
    print(f"Processed {len(detections)} windows in {time.perf_counter() - start:.3f} s.")
    start = time.perf_counter()
    (write_csv if target.suffix.lower() == ".csv" else write_h5)(target, detections)
    print(f"Saved to {target} in {time.perf_counter() - start:.3f} s.")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return command.run(detect, argv)


def read_names(path: Path) -> list[str]:
    """The pictures listed in a .txt, or in the column filename of a .csv. Raises DataError."""
    if path.suffix.lower() == ".csv":
        return list(dict.fromkeys(row["filename"] for _, row in _rows(path, ("filename",))))
    names = [line.strip() for line in _text(path).split("\n") if line.strip()]
    if not names:
        raise DataError(f"{path}: lists no picture.")
    return names


def read_windows(path: Path) -> dict[str, list[np.ndarray]]:
    """Each picture's windows (ymin, xmin, ymax, xmax), in the order of the .csv. Raises DataError."""
    windows: dict[str, list[np.ndarray]] = {}
    for line, row in _rows(path, ("filename", *COORDINATES)):
        try:
            window = np.array([int(float(row[name])) for name in COORDINATES])
        except (ValueError, OverflowError) as e:
            words = ",".join(row[name] for name in COORDINATES)
            raise DataError(f'{path}:{line}: "{words}": four numbers are needed, {",".join(COORDINATES)}.') from e
        windows.setdefault(row["filename"], []).append(window)
    return windows


def write_csv(path: Path, detections: Sequence["Detection"]) -> None:
    """Writes one row per window: the picture, the window, the score of each class. Raises DataError."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    classes = detections[0]["prediction"].size if detections else 0
    writer.writerow(["filename", *COORDINATES, *(f"class{i}" for i in range(classes))])
    for each in detections:
        writer.writerow([each["filename"], *map(int, each["window"]), *each["prediction"].ravel().tolist()])
    with atomic_file.writing(path, DataError):
        atomic_file.replace(path, out.getvalue().encode("utf-8", "surrogateescape"))


def write_h5(path: Path, detections: Sequence["Detection"]) -> None:
    """Writes the table `df` for pandas.read_hdf: indexed by filename, with the columns prediction and COORDINATES.

    Raises DataError.
    """
    pandas = _pandas()
    rows = [
        {"filename": each["filename"], "prediction": each["prediction"]}
        | dict(zip(COORDINATES, map(int, each["window"]), strict=True))
        for each in detections
    ]
    table = pandas.DataFrame(rows, columns=["filename", "prediction", *COORDINATES]).set_index("filename")
    half = path.with_name(f".{path.name}.tmp")
    with atomic_file.writing(path, DataError), warnings.catch_warnings():
        warnings.simplefilter("ignore", pandas.errors.PerformanceWarning)  # vectors in a column are pickled
        try:
            table.to_hdf(half, key="df", mode="w")
            half.replace(path)
        finally:
            half.unlink(missing_ok=True)


def _pandas() -> Any:
    """pandas, if it and PyTables, with which it writes HDF5, are installed. Raises DataError otherwise."""
    try:
        import pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415
        import tables  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401, PLC0415
    except ModuleNotFoundError as e:
        raise DataError(
            f"writing detections to an .h5 needs {e.name}, which is not installed: pip install pandas tables, or name "
            "a .csv."
        ) from e
    return pandas


def _rows(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a .csv, each with its line number and its fields by column name. Raises DataError."""
    reader = csv.DictReader(io.StringIO(_text(path)), skipinitialspace=True, restval="")
    try:
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as e:
        raise DataError(f"{path}:{reader.line_num or 1}: {e}.") from e
    if missing:
        raise DataError(f"{path}:1: the header has no {', '.join(missing)}; it must be filename,xmin,ymin,xmax,ymax.")
    if not rows:
        raise DataError(f"{path}: has no lines after its header.")
    return rows


def _text(path: Path) -> str:
    try:
        return regular_file.read(path).decode("utf-8-sig", "surrogateescape")
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}.") from e


if __name__ == "__main__":
    sys.exit(main())
