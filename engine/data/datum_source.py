"""Batches from a database of Datum records: Caffe's Data layer."""

from collections import Counter
from collections.abc import Generator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from engine.data import datum
from engine.data.bad_records import BadRecords
from engine.data.databases import Database, name_key
from engine.data.source import Batch, Picture, State, check_labels, draws, position, transformed
from engine.data.transform import Transform, by
from engine.errors import BadRecord, DataError


class DatumSource:
    """Reads records in the order of their keys, again and again. Tops: pictures, and labels if there is a second top.

    Starts at a random one of the first `rand_skip` records. Owns the database.

    With `bad`, the next good records stand in for bad ones. Readers of one database that each skip what the others read
    stay in step all the same.
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
        self.bad: BadRecords | None = None
        self._seed = seed
        self._batches = 0
        self._after: bytes | None = None
        self._keys: list[bytes] = []
        self._rounds = 0
        self._instead = 0
        self._records = self._round(None)
        if rand_skip:
            self._advance(int(np.random.default_rng((seed, rand_skip)).integers(rand_skip)))

    def shapes(self) -> list[tuple[int, ...]]:
        _, shape = self._first()
        return [(self.batch_size, *shape), (self.batch_size,)][: len(self.tops)]

    def _first(self) -> tuple[Any, tuple[int, int, int]]:
        """The first record, or the first good one if bad ones are skipped, and the shape of its transformed picture."""
        first = None
        for key, value in islice(self.database.records(), None if self.bad else 1):
            try:
                record = self._parse(key, value)
                return record, self._shape(key, record)
            except BadRecord as e:
                first = first or e
        assert first
        raise first

    def next(self) -> Batch:
        read = list(islice(self._records, self.batch_size))
        batch = self._made(read) if self.bad is None else self._made_of_good(read, self.bad)
        self._batches += 1
        return batch

    def _made(self, records: Sequence[tuple[bytes, bytes]]) -> Batch:
        """The batch of some records; each uses the random numbers of its place in the batch."""
        self._keys = [key for key, _ in records]
        values = [value for _, value in records]
        pictures, labels = self._pictures(values)
        random = draws(self._seed, self._batches, self.batch_size)
        threads = None if sum(map(len, values)) >= _WORTH_THREADS * len(values) else 1
        arrays = transformed(pictures, self.record, self.transform, random, threads), np.array(labels, np.float32)
        self._after = self._keys[-1]
        return dict(zip(self.tops, arrays, strict=False))

    def _made_of_good(self, records: list[tuple[bytes, bytes]], bad: BadRecords) -> Batch:
        """The batch of some records, with the next good ones in place of bad ones. Raises DataError if all are bad."""
        begun = self._rounds
        while True:
            try:
                batch = self._made(records)
                check_labels(batch, bad.bounds, self.record)
            except BadRecord as e:
                good = self._good(records, bad)
                if len(good) == self.batch_size or (not good and self._rounds > begun + 1):
                    raise DataError(f"{e} None of the records can be used.") from e
            else:
                return batch
            missing = self.batch_size - len(good)
            records = good + list(islice(self._records, missing))
            self._instead += missing

    def _good(self, records: Sequence[tuple[bytes, bytes]], bad: BadRecords) -> list[tuple[bytes, bytes]]:
        """The records that can form a batch: those that are good by themselves and have the most common shape."""
        shapes = {}
        for i, (key, value) in enumerate(records):
            try:
                record = self._parse(key, value)
                shapes[i] = self._shape(key, record)
                self._keys = [key]
                labels = {top: np.array([self._label(record)], np.float32) for top in self.tops[1:]}
                check_labels(labels, bad.bounds, self.record)
            except BadRecord as e:
                shapes.pop(i, None)
                bad.skip(e)
        if not shapes:
            return []
        ((most, _),) = Counter(shapes.values()).most_common(1)
        for i, shape in shapes.items():
            if shape != most:
                bad.skip(BadRecord(f"{self._name(records[i][0])}: is {by(shape)} and most of its batch {by(most)}"))
        return [records[i] for i, shape in shapes.items() if shape == most]

    def skip(self, batches: int) -> None:
        if batches:
            due = batches * self.batch_size
            instead = min(self._instead, due)  # already read, in place of bad ones
            self._instead -= instead
            self._advance(due - instead)
            self._batches += batches

    def _advance(self, records: int) -> None:
        """Skips so many records, reading their keys only."""
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
            elif rounds == 2:  # the number of records is known now: whole rounds cancel out
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
        self._instead = 0
        self._records = self._round(self._after)

    def close(self) -> None:
        self._records.close()
        self.database.close()

    def _round(self, after: bytes | None) -> Generator[tuple[bytes, bytes], None, None]:
        while True:
            yield from self.database.records(after)
            after = None
            self._rounds += 1

    def _pictures(self, values: Sequence[bytes]) -> tuple[np.ndarray | list[Picture], Sequence[int] | np.ndarray]:
        """The pictures and the labels of the records just read, whose keys are in `_keys`."""
        if alike := datum.stacked(values):
            return alike
        records = [self._parse(key, value) for key, value in zip(self._keys, values, strict=True)]
        pictures: list[Picture] = [partial(datum.pixels, record, self.transform.colour) for record in records]
        return pictures, [record.label for record in records]

    def _label(self, record: Any) -> int:
        label: int = record.label
        return label

    def _parse(self, key: bytes, value: bytes) -> Any:
        try:
            return datum.parse(value)
        except DataError as e:
            raise BadRecord(f"{self._name(key)}: {e}") from e

    def _shape(self, key: bytes, record: Any) -> tuple[int, int, int]:
        """The shape that a record's picture is transformed to; the picture is decoded to find out."""
        try:
            return self.transform.shape(datum.pixels(record, self.transform.colour).shape)
        except DataError as e:
            raise BadRecord(f"{self._name(key)}: {e}") from e

    def _name(self, key: bytes) -> str:
        return f'{self.database.path}: record "{name_key(key)}"'


_WORTH_THREADS = 4_000
"""Average bytes per record from which on several threads are faster than one."""


def _key(after: object) -> bytes | None:
    """The key in a state, byte for byte; None for the beginning. Raises DataError for what cannot be a key."""
    if after is None:
        return None
    try:
        return str(after).encode("latin-1")
    except UnicodeEncodeError as e:
        raise DataError(f"the resume file has the position {str(after)[:50]!r}, which cannot be a key.") from e
