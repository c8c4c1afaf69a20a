"""Checks some records of a database for its layer: collects their labels, and finds sizes that do not fit. It never
reads all of them, which may take hours, since the engine reads them anyway."""

import io
from math import prod
from pathlib import Path

from google.protobuf.message import DecodeError

from engine.data.databases import ANNOTATED, name_key
from engine.data.lmdb_reader import LMDB
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb
from hpcbrew.errors import ManifestError
from hpcbrew.plan import picture_header
from hpcbrew.plan.picture_fit import PictureFit
from hpcbrew.plan.picture_header import Header, NoPicture

MOST, MOST_BYTES = 100, 32 * 2**20
"""The most records, and about the most bytes, that are read, evenly spread from the first record to the last."""


def look(folder: Path, layer: pb.LayerParameter, location: str) -> dict[int, str]:
    """Returns the labels of some records of the database in `folder`, each with a description of the first record that
    has it. Empty for a LevelDB, which cannot be sampled.

    Raises ManifestError for a damaged database, and for a record that is not a picture or does not fit.
    """
    if layer.data_param.backend != pb.DataParameter.LMDB:
        return {}
    labels: dict[int, str] = {}
    fits = PictureFit(layer, location)
    total_bytes = 0
    try:
        database = LMDB(folder)
        for key, value in database.spread(MOST):
            name = f'record "{name_key(key)}" of {folder}'
            try:
                if value.startswith(ANNOTATED):
                    raise NoPicture("is an AnnotatedDatum, a picture with boxes: the AnnotatedData layer reads these")
                record = pb.Datum.FromString(value)
                fits.check(name, _header(record))
            except (DecodeError, NoPicture) as error:
                fault = error if isinstance(error, NoPicture) else "is not a Datum, as Caffe's databases contain"
                raise ManifestError(
                    f"{location}: {name} {fault}. hpcbrew data check {folder} names all of them"
                ) from None
            labels.setdefault(record.label, name)
            total_bytes += len(value)
            if total_bytes > MOST_BYTES:
                break
        database.close()
    except DataError as error:
        raise ManifestError(f"{location}: {error}") from None
    return labels


def _header(record: pb.Datum) -> Header:
    if record.encoded:
        return picture_header.of(io.BytesIO(record.data))
    shape, count = (record.channels, record.height, record.width), len(record.data) or len(record.float_data)
    if min(shape) < 1 or prod(shape) != count:
        dimensions = "×".join(map(str, shape))
        raise NoPicture(f"says {dimensions} (channels × height × width) and holds {count:,} values")
    return Header(record.height, record.width)
