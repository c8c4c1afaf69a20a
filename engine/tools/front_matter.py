"""The Model Zoo's front matter: keys and values at the head of a model's README that describe the model."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from engine import suggest
from engine.errors import DataError
from engine.host import regular_file
from engine.proto import raw_bytes

KEYS = ("name", "caffemodel", "caffemodel_url", "license", "sha1", "caffe_commit", "gist_id")
"""The Model Zoo's keys. A README may have others, such as caffe_version."""

LARGEST = 1 << 20
"""Bytes that a README may have."""

FENCE = re.compile(r"---\s*")
_KEY = re.compile(r"[A-Za-z_][\w-]*")


@dataclass(frozen=True)
class FrontMatter:
    """`values` and their line numbers, `lines`, both by key, in the file's order."""

    path: Path
    values: Mapping[str, str]
    lines: Mapping[str, int]

    def get(self, key: str) -> str:
        """The value, or "" if there is none."""
        return self.values.get(key, "")

    def need(self, key: str) -> str:
        """The value. Raises DataError if there is none."""
        if not self.get(key):
            raise DataError(
                f"{self.path}: its front matter has no {key}.{suggest.did_you_mean(key, self.unknown())} Add a line "
                f"`{key}: …` between the two lines of ---."
            )
        return self.values[key]

    def unknown(self) -> list[str]:
        """The keys that are not the Model Zoo's."""
        return [key for key in self.values if key not in KEYS]

    def wrong(self, key: str, problem: str) -> DataError:
        """An error that gives the value, its file and line, and the problem with it."""
        return DataError(f"{self.path}:{self.lines[key]}: {key}: {self.values[key]}: {problem}")


def read(path: Path) -> FrontMatter:
    """The front matter of the README `path`: YAML between two lines of ---, or, as in the Model Zoo's gists, lines
    `key: value` below a heading `## Info`.

    Raises DataError if the file cannot be read or has no front matter, or if a value is not valid for its key.
    """
    try:
        text = raw_bytes.decoded(regular_file.read(path, LARGEST))
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}.") from e
    lines = text.removeprefix("\ufeff").split("\n")
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    fenced = FENCE.fullmatch(lines[first])
    entries = _fenced(path, lines, first) if fenced else list(_below_heading(lines))
    if not entries:
        raise DataError(
            f"{path}: has no front matter: begin it with a line ---, lines `key: value` ({', '.join(KEYS)}), and "
            "another line ---."
        )
    front_matter = FrontMatter(path, {key: value for key, value, _ in entries}, {key: line for key, _, line in entries})
    _check(front_matter)
    return front_matter


def _fenced(path: Path, lines: list[str], first: int) -> list[tuple[str, str, int]]:
    """The front matter's (key, value, line number) triples. `first`: the index of the line that opens it."""
    last = next((i for i in range(first + 1, len(lines)) if FENCE.fullmatch(lines[i])), None)
    if last is None:
        raise DataError(f"{path}:{first + 1}: front matter begins here but does not end: close it with a line ---.")
    try:
        return list(_pairs(path, "\n".join(lines[first + 1 : last]), first + 2))
    except yaml.MarkedYAMLError as e:
        line = first + 2 + (e.problem_mark.line if e.problem_mark else 0)
        hint = " Put quotes around a value with a colon in it." if "mapping values" in str(e.problem) else ""
        raise DataError(f"{path}:{line}: the front matter is not valid YAML: {e.problem or e.context}.{hint}") from e
    except yaml.YAMLError as e:
        raise DataError(f"{path}:{first + 2}: the front matter is not valid YAML: {' '.join(str(e).split())}.") from e


def _pairs(path: Path, text: str, number: int) -> Iterator[tuple[str, str, int]]:
    """The (key, value, line number) triples of YAML whose first line is `number`.

    Reads parser events and accepts a flat mapping of scalars only, so that no nesting has to be followed.
    """
    seen: set[str] = set()
    key: str | None = None
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = number + (event.start_mark.line if event.start_mark else 0)
        if isinstance(event, yaml.ScalarEvent) and depth:
            if key is None:
                key = event.value
                if key in seen:
                    raise DataError(f"{path}:{line}: {key} is given twice.")
                seen.add(key)
            else:
                yield key, event.value.strip(), line
                key = None
        elif isinstance(event, yaml.MappingStartEvent) and not depth:
            depth = 1
        elif isinstance(event, yaml.NodeEvent):
            raise DataError(f"{path}:{line}: front matter consists of lines `key: value` with one value each.")


def _below_heading(lines: list[str]) -> Iterator[tuple[str, str, int]]:
    """The (key, value, line number) triples. Of repeated keys, the first counts."""
    inside, seen = False, set()
    for number, line in enumerate(lines, start=1):
        key, _, value = (part.strip() for part in line.partition(":"))
        if line.startswith("#"):
            if inside:
                return
            inside = line.strip("#: \t\r").lower() in ("info", "information", "model info")
        elif inside and ":" in line and _KEY.fullmatch(key) and key not in seen:
            seen.add(key)
            yield key, value, number


def _check(front_matter: FrontMatter) -> None:
    name, sha1, url = front_matter.get("caffemodel"), front_matter.get("sha1"), front_matter.get("caffemodel_url")
    if name and (
        not name.isprintable() or "/" in name or name.startswith(".") or len(name.encode(errors="replace")) > 200
    ):
        raise front_matter.wrong(
            "caffemodel", "it must be the name of a file in this folder, without a / and without a leading dot."
        )
    if sha1 and not re.fullmatch(r"[0-9a-fA-F]{40}", sha1):
        raise front_matter.wrong("sha1", f"a SHA-1 has 40 hexadecimal digits; this has {len(sha1)} characters.")
    if url and (problem := wrong_url(url)):
        raise front_matter.wrong("caffemodel_url", problem)


def wrong_url(url: str) -> str:
    """What is wrong with a URL to fetch from; "" if nothing is."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as e:
        return f"it is not a valid URL: {e}."
    if parts.scheme not in ("https", "http") or not host:
        return "a URL begins with https:// (or http://) and a host."
    if not url.isprintable() or not url.isascii() or " " in url:
        return "a URL contains no spaces or special characters: percent-encode them, a space as %20."
    return ""
