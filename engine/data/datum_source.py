"""Batches from a database of Datum records: Caffe's Data layer."""

from collections.abc import Generator, Sequence
from functools import partial
from itertools import islice

import numpy as np

from engine.data import datum
from engine.data.databases import Database, name_key
from engine.data.source import Batch, Picture, State, draws, position, transformed
from engine.data.transform import Transform
from engine.errors import DataError
from engine.proto import caffe_pb2 as pb


class DatumSource:
    """Reads records in the order of their keys, round and round. Tops: pictures, and labels if there is a second.

    Starts a random number below `rand_skip` of records in. Owns the database.
    """

    def __init__(
        self,
        database: Database,
        tops: Sequence[str],
        batch_size: int,
        transform: Transform,
        seed: int,
        rand_skip: int = 0,
        prefetch: int = 4,
    ) -> None:
        self.database = database
        self.tops = tuple(tops)
        self.batch_size = batch_size
        self.transform = transform
        self.prefetch = prefetch
        self._seed = seed
        self._batches = 0
        self._after: bytes | None = None
        self._keys: list[bytes] = []
        self._records = self._round(None)
        if rand_skip:
            self._pass(int(np.random.default_rng((seed, rand_skip)).integers(rand_skip)))

    def shapes(self) -> list[tuple[int, ...]]:
        key, value = next(self.database.records())
        try:
            shape = self.transform.shape(datum.pixels(datum.parse(value), self.transform.colour).shape)
        except DataError as e:
            raise DataError(f"{self._name(key)}: {e}") from e
        return [(self.batch_size, *shape), (self.batch_size,)][: len(self.tops)]

    def next(self) -> Batch:
        read = list(islice(self._records, self.batch_size))
        self._keys = [key for key, _ in read]
        pictures, labels = self._pictures([value for _, value in read])
        random = draws(self._seed, self._batches, self.batch_size)
        large = sum(len(value) for _, value in read) >= _WORTH_THREADS * len(read)
        threads = None if large else 1
        values = transformed(pictures, self.record, self.transform, random, threads), np.array(labels, np.float32)
        batch = dict(zip(self.tops, values, strict=False))
        self._after = self._keys[-1]
        self._batches += 1
        return batch

    def skip(self, batches: int) -> None:
        if batches:
            self._pass(batches * self.batch_size)
            self._batches += batches

    def _pass(self, records: int) -> None:
        """Goes past so many records, by their keys."""
        keys = self.database.keys(self._after)
        passed = rounds = 0
        while passed < records:
            key = next(keys, None)
            if key is not None:
                self._after = key
                passed += 1
                continue
            keys, rounds = self.database.keys(), rounds + 1
            if rounds == 1:
                begin = passed
            elif rounds == 2:  # the number of records is known: whole rounds lead nowhere
                records = passed + (records - passed) % (passed - begin)
        self._records = self._round(self._after)

    def record(self, index: int) -> str:
        return self._name(self._keys[index])

    def state(self) -> State:
        after = None if self._after is None else self._after.decode("latin-1")
        return {"after": after, "batches": self._batches, "seed": self._seed}

    def restore(self, state: State) -> None:
        self._after = _key(state.get("after"))
        self._batches, self._seed = position(state, "batches"), position(state, "seed")
        self._records = self._round(self._after)

    def close(self) -> None:
        self._records.close()
        self.database.close()

    def _round(self, after: bytes | None) -> Generator[tuple[bytes, bytes], None, None]:
        while True:
            yield from self.database.records(after)
            after = None

    def _pictures(self, values: Sequence[bytes]) -> tuple[np.ndarray | list[Picture], Sequence[int] | np.ndarray]:
        """The pictures and the labels of the records that have just been read."""
        if alike := datum.stacked(values):
            return alike
        records = [self._parse(key, value) for key, value in zip(self._keys, values, strict=True)]
        pictures = [partial(datum.pixels, record, self.transform.colour) for record in records]
        return pictures, [record.label for record in records]

    def _parse(self, key: bytes, value: bytes) -> pb.Datum:
        try:
            return datum.parse(value)
        except DataError as e:
            raise DataError(f"{self._name(key)}: {e}") from e

    def _name(self, key: bytes) -> str:
        return f'{self.database.path}: record "{name_key(key)}"'


_WORTH_THREADS = 4_000
"""Bytes of a record from which on several threads are faster than one."""


def _key(after: object) -> bytes | None:
    """The key that a state names, byte for byte; None for the beginning."""
    if after is None:
        return None
    try:
        return str(after).encode("latin-1")
    except UnicodeEncodeError as e:
        raise DataError(f"the resume file has a position behind {str(after)[:50]!r}, which is no key.") from e
