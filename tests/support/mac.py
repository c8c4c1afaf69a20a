"""Stands in for macOS's commands: a folder for PATH with the commands that a Mac has, among them BSD's find, sed and
stat, which refuse GNU's own options."""

import shutil
from pathlib import Path

SAME = """
awk bash cat chmod cp cut date df dirname env grep head hostname id kill ls mkdir mv printf ps rm rmdir seq sh sleep
sort tail tar touch tr true uname uniq wc xargs
"""

REFUSE = 'for word; do case $word in {}) echo "$0: $word: illegal option" >&2; exit 1;; esac; done; '

OTHER = {
    "find": REFUSE.format("-printf | -readable | -regextype") + 'exec {find} "$@"',
    "sed": REFUSE.format("-i | -r | -z") + 'exec {sed} "$@"',
    "shasum": '[ "$1 $2" = "-a 256" ] || exit 1; shift 2; exec {sha256sum} "$@"',
    "stat": '[ "$1 $2" = "-f %Fm" ] || exit 1; shift 2; exec {stat} -c %.9Y "$@"',
}


def commands(folder: Path) -> Path:
    """Makes the folder."""
    folder.mkdir()
    there = {name: shutil.which(name) for name in (*SAME.split(), *OTHER, "sha256sum")}
    for name in SAME.split():
        if path := there[name]:
            (folder / name).symlink_to(path)
    for name, body in OTHER.items():
        (folder / name).write_text(f"#!/bin/sh\n{body.format(**there)}\n")
        (folder / name).chmod(0o755)
    return folder
