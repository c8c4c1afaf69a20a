"""A cache that keeps the entries used most recently."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


class LastUsed(Generic[Key, Made]):
    """Holds at most `most` entries; one more drops the least recently used."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: OrderedDict[Key, Made] = OrderedDict()

    def __len__(self) -> int:
        return len(self._made)

    def get(self, key: Key) -> Made | None:
        """The key's entry, which counts as a use of it; None if there is none."""
        if key in self._made:
            self._made.move_to_end(key)
        return self._made.get(key)

    def put(self, key: Key, made: Made) -> Made:
        """Stores `made` under the key and returns it."""
        self._made[key] = made
        self._made.move_to_end(key)
        if len(self._made) > self._most:
            self._made.popitem(last=False)
        return made
