"""What Caffe logs when it sets up its data layers, each line with the file and line of Caffe's source."""

from collections import Counter
from collections.abc import Iterator, Sequence

from engine import log
from engine.data.window_source import WindowSource
from engine.layers.base import LogLine
from engine.proto import caffe_pb2 as pb


def database(p: pb.DataParameter) -> Iterator[LogLine]:
    """Which database was opened."""
    where, kind = ("db_lmdb.cpp:35", "lmdb") if p.backend == p.LMDB else ("db_leveldb.cpp:18", "leveldb")
    yield LogLine(where, f"Opened {kind} {p.source}")


def mean(p: pb.TransformationParameter, where: str = "data_transformer.cpp:25") -> Iterator[LogLine]:
    """Which mean file was read, if any."""
    if p.HasField("mean_file"):
        yield LogLine(where, f"Loading mean file from: {p.mean_file}")


def images(p: pb.ImageDataParameter, count: int) -> Iterator[LogLine]:
    """About a list of `count` images."""
    yield LogLine("image_data_layer.cpp:38", f"Opening file {p.source}")
    if p.shuffle:
        yield LogLine("image_data_layer.cpp:53", "Shuffling data")
    yield LogLine("image_data_layer.cpp:63", f"A total of {count} images.")


def hdf5(p: pb.HDF5DataParameter, files: int) -> Iterator[LogLine]:
    """About a list of this many files."""
    yield LogLine("hdf5_data_layer.cpp:81", f"Loading list of HDF5 filenames from: {p.source}")
    yield LogLine("hdf5_data_layer.cpp:95", f"Number of HDF5 files: {files}")


def windows(p: pb.WindowDataParameter, source: WindowSource) -> Iterator[LogLine]:
    """About a window file: what counts as object and as background, and the number of windows of each class."""
    settings = {
        "foreground (object) overlap threshold": log.number(p.fg_threshold),
        "background (non-object) overlap threshold": log.number(p.bg_threshold),
        "foreground sampling fraction": log.number(p.fg_fraction),
        "cache_images": int(p.cache_images),
        "root_folder": p.root_folder,
    }
    listed = [f"  {name}: {value}" for name, value in settings.items()]
    yield LogLine("window_data_layer.cpp:53", "\n".join(["Window data layer:", *listed]))
    yield LogLine("window_data_layer.cpp:157", f"Number of images: {source.pictures}")
    classes = {0: len(source.background)} | Counter(window.label for window in source.objects)
    for label, count in sorted(classes.items()):
        yield LogLine("window_data_layer.cpp:161", f"class {label} has {count} samples")
    yield LogLine("window_data_layer.cpp:165", f"Amount of context padding: {p.context_pad}")
    yield LogLine("window_data_layer.cpp:168", f"Crop mode: {p.crop_mode}")


def output(where: str, shape: Sequence[int]) -> LogLine:
    """The shape of a batch."""
    return LogLine(where, f"output data size: {','.join(map(str, shape))}")


def skip(rand_skip: int, lines: int) -> Iterator[LogLine]:
    """A warning that a run may fail at its start: as in Caffe, it does if the random number of lines to skip is too
    large."""
    if rand_skip > lines:
        yield LogLine(
            "image_data_layer.cpp:71",
            f"rand_skip is {rand_skip} for a list of length {lines}: a run that draws {lines} or more to skip fails. "
            f"Set it to at most {lines}.",
            warns=True,
        )
