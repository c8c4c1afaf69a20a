"""A cache that keeps the entries used most recently."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Entry = TypeVar("Entry")


class LastUsed(Generic[Key, Entry]):
    """Holds at most `most` entries; one more drops the least recently used."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[Key, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Entry | None:
        """The key's entry, which counts as a use of it; None if there is none."""
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def put(self, key: Key, entry: Entry) -> Entry:
        """Stores `entry` under the key and returns it."""
        self._entries[key] = entry
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)
        return entry
