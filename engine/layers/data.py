"""The layers that read data themselves. What they read, and how, is in `engine.data`."""

from pathlib import Path

from engine.data.databases import LMDB
from engine.data.leveldb import LevelDB
from engine.data.records import DatumSource
from engine.data.source import Source as Batches
from engine.data.transform import Transform
from engine.errors import DataError, PrototxtError
from engine.layers.base import Shape, Source, layer
from engine.proto import caffe_pb2 as pb
from engine.proto import paths


class DataLayer(Source):
    """A source layer whose tops have the shapes of its first batch."""

    def setup(self) -> list[Shape]:
        batches = self.open(seed=0)
        try:
            return batches.shapes()
        except DataError as e:
            raise self.error(str(e)) from e
        finally:
            batches.close()

    def open(self, seed: int) -> Batches:
        try:
            return self.batches(seed)
        except (DataError, PrototxtError) as e:
            raise self.error(str(e)) from e

    def batches(self, seed: int) -> Batches:
        """What a data layer writes: its source of batches, opened. Raises DataError."""
        raise TypeError(f"{type(self).__name__} has no batches")

    def path(self, field: str, name: str) -> Path:
        """The file or folder that the field `field` names."""
        if not name:
            raise self.error(f"{field} names nothing.")
        return paths.resolve(name, self.node.origin.path)

    def batch_size(self, size: int) -> int:
        if not size:
            raise self.error("batch_size is 0 or not given; 1 or more is needed.")
        return size

    def transform(self) -> Transform:
        param = self.config.transform_param
        mean_file = self.path("mean_file", param.mean_file) if param.HasField("mean_file") else None
        return Transform(param, self.phase, mean_file)


@layer("Data")
class Data(DataLayer):
    """Pictures, and their labels if there is a second top, from a database of Datum records.

    Tops: pictures (batch_size, channels, height, width), of `crop_size` if that is set; labels (batch_size,).
    """

    tops = (1, 2)

    def batches(self, seed: int) -> Batches:
        p = self.config.data_param
        database = LMDB if p.backend == pb.DataParameter.LMDB else LevelDB
        return DatumSource(
            database(self.path("source", p.source)),
            self.config.top,
            self.batch_size(p.batch_size),
            self.transform(),
            seed,
            rand_skip=p.rand_skip,
            prefetch=p.prefetch,
        )
