"""Writes new profiles to the user's own folder: composes one from a few values, and checks it before writing."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hpcbrew.clusters import profile_files, profiles, user_settings
from hpcbrew.errors import ProfileError

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,199}")
BASES = {"pbs": "openpbs", "local": "local"}


def path(name: str) -> Path:
    """Returns the path of the user's own profile of that name. Raises ProfileError for an invalid name."""
    if not NAME.fullmatch(name):
        raise ProfileError(
            f"{name!r} is not a valid name for a cluster: use only letters, digits and _ . -, with a letter or digit "
            "first"
        )
    return profile_files.folders()[0] / f"{name}.yaml"


def compose(name: str, scheduler: str, extends: str | None, options: Mapping[str, str | None]) -> dict[str, Any]:
    """Returns the profile's own values, without those that are None.

    Everything else is taken from `extends`, or else from the shipped profile of the same name, or else from a plain one
    for the scheduler. `options`: host, scratch, transport, queue, project. A queue that the base does not list is added
    to its list, without limits. Raises ProfileError for a host if the cluster is this machine.
    """
    shipped_profile = profile_files.folders()[1] / f"{name}.yaml"
    base = extends or (name if shipped_profile.exists() else BASES[scheduler])
    base_values = profiles.resolve({"extends": base}, path(name), name)
    values: dict[str, Any] = {"extends": base}
    if scheduler != base_values.get("scheduler", "pbs"):
        values["scheduler"] = scheduler
    values |= {key: options[key] for key in ("transport", "host", "scratch", "queue") if options.get(key) is not None}
    is_local = values.get("transport", base_values.get("transport")) == "local"
    if is_local and "host" in values:
        raise ProfileError(
            f"{name}: host: {values['host']!r}: a cluster on this machine has no host; leave --host out, or give "
            "another --scheduler or --transport"
        )
    if not is_local and "scratch" in values:
        values["scratch"] = _unexpanded(values["scratch"])
    if options.get("project") is not None:
        values["account"] = {"default": options["project"]}
    queues = base_values.get("queues", {})
    if queues and values.get("queue") and values["queue"] not in queues:
        values["queues"] = {values["queue"]: {}}
    return values


def _unexpanded(scratch: str) -> str:
    """Undoes the local shell's expansion of `--scratch ~/scratch`: this machine's home folder means nothing on the
    cluster."""
    home = str(Path.home())
    return f"~{scratch.removeprefix(home)}" if scratch == home or scratch.startswith(f"{home}/") else scratch


def target(name: str, *, force: bool) -> Path:
    """Returns where to write a profile of that name. Raises ProfileError if there is one already, unless `force`."""
    file = path(name)
    if file.exists() and not force:
        raise ProfileError(f"{file}: there is a profile of that name already. Edit it, or overwrite it with --force")
    return file


def write(name: str, values: Mapping[str, Any], *, force: bool = False) -> Path:
    """Checks and writes a profile. Raises ProfileError if the values are not a valid profile, or if there is one
    already, unless `force`."""
    file = target(name, force=force)
    profiles.check(values, name, file)
    user_settings.put(file, yaml.safe_dump(dict(values), sort_keys=False).encode())
    return file
