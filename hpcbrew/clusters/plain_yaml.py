"""Reads YAML files that hold only what JSON could hold too, and dates, which their readers refuse.

What is read is merged, shown and written as JSON, so nothing in it may be endless or beyond printing: with references,
a few lines can stand for billions of values or for one within itself.
"""

from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import yaml

MOST = 100_000
"""The most values of a file, with each reference counted as what it stands for."""

LONGEST_NUMBER = 100
"""The most characters of a whole number."""


class NotPlain(ValueError):
    """The message continues the file's name: `is nested too deeply`. `line`: counted from 1; None if it is unknown."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line

    def of(self, path: Path) -> str:
        """Returns the message with the file's name, and the line if it is known."""
        return f"{path}:{self.line}: {self}" if self.line else f"{path}: {self}"


def load(text: str) -> Any:
    """Returns the value that `text` holds; None for an empty one. Raises NotPlain."""
    try:
        return yaml.load(text, _Plain)  # noqa: S506 - a SafeLoader
    except NotPlain:
        raise
    except RecursionError:
        raise NotPlain("is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an impossible date
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or error
        raise NotPlain(f"not YAML: {problem}", mark.line + 1 if mark else None) from None


class _Plain(yaml.SafeLoader):
    yaml_constructors: ClassVar = {
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if str(tag).rpartition(":")[2] not in ("binary", "omap", "pairs", "set")
    }

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None:
            _count(node, {})
        return node


def _whole(loader: _Plain, node: yaml.ScalarNode) -> int:
    """Constructs a whole number. Python refuses to print one of thousands of digits, but 0xfff… can be read as one."""
    if len(node.value) > LONGEST_NUMBER:
        raise NotPlain(f"holds a number of {len(node.value):,} characters", node.start_mark.line + 1)
    return int(loader.construct_yaml_int(node))


_Plain.yaml_constructors["tag:yaml.org,2002:int"] = _whole


def _count(node: yaml.Node, counts: dict[int, int]) -> int:
    """Returns how many values a node stands for; notes it in `counts` by the node's id: 0 while it is being counted."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if (count := counts.get(id(node))) is not None:
        if not count:
            raise NotPlain("holds a reference to what contains it", node.start_mark.line + 1)
        return count
    counts[id(node)] = 0
    children = chain.from_iterable(node.value) if isinstance(node, yaml.MappingNode) else node.value
    counts[id(node)] = count = 1 + sum(_count(each, counts) for each in children)
    if count > MOST:
        raise NotPlain(f"stands for more than {MOST:,} values through its references", node.start_mark.line + 1)
    return count
