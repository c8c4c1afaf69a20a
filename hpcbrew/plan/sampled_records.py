"""What some records of a database come to in its layer: their labels, and sizes that do not fit. All are never read:
that may take hours, and the engine reads them anyhow."""

import io
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
"""Records that are looked at, evenly spread from the first to the last; fewer where they are large."""


def look(folder: Path, layer: pb.LayerParameter, asked: str) -> dict[int, str]:
    """The labels of some records of the database in `folder`, each with the first record that bears it, in words. Of a
    LevelDB, which cannot be read in a few places, there are none.

    Raises ManifestError for a database that is damaged, and for a record that is no picture or does not fit.
    """
    if layer.data_param.backend != pb.DataParameter.LMDB:
        return {}
    labels: dict[int, str] = {}
    fits = PictureFit(layer, asked)
    read = 0
    try:
        database = LMDB(folder)
        for key, value in database.spread(MOST):
            name = f'record "{name_key(key)}" of {folder}'
            try:
                if value.startswith(ANNOTATED):
                    raise NoPicture("is an AnnotatedDatum, a picture with boxes: the layer AnnotatedData reads such")
                record = pb.Datum.FromString(value)
                fits.check(name, _header(record))
            except (DecodeError, NoPicture) as error:
                said = error if isinstance(error, NoPicture) else "is no Datum, of which Caffe's databases are made"
                raise ManifestError(f"{asked}: {name} {said}. hpcbrew data check {folder} names all such") from None
            labels.setdefault(record.label, name)
            read += len(value)
            if read > MOST_BYTES:
                break
        database.close()
    except DataError as error:
        raise ManifestError(f"{asked}: {error}") from None
    return labels


def _header(record: pb.Datum) -> Header:
    if record.encoded:
        return picture_header.of(io.BytesIO(record.data))
    return Header(record.height, record.width)
