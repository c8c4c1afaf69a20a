"""The user's own settings, in `config.yaml` in the configuration folder; `hpcbrew config set` writes it."""

import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.host import atomic_file, regular_file
from engine.suggest import did_you_mean
from hpcbrew import full_disk, paths, units
from hpcbrew.errors import ProfileError
from hpcbrew.file_lock import exclusive

LARGEST = 2**16  # bytes

CLUSTER, CLUSTERS = "cluster", "clusters"

KEYS = {CLUSTER: "the cluster for commands without --cluster"}

OF_CLUSTER = {
    "project": "the project to charge for jobs without --project",
    "queue": "the queue of jobs without --queue",
    "walltime": "the walltime of jobs without --walltime",
    "mem": "the memory per node of jobs without --mem",
    "gpu-type": "the GPU model of jobs that request GPUs without --gpu-type",
    "mail": "the address for PBS's mail when a job without --mail ends",
}
"""The settings of each cluster, in the file below `clusters: {NAME: {…}}`; each is an option of submit."""

PARSERS: Mapping[str, Callable[[str], Any]] = {"walltime": units.asked_time, "mem": units.asked_size}
"""Those of settings that are times or sizes. Both raise ValueError."""

Settings = dict[str, Any]
"""`cluster`: the default cluster; `clusters`: the settings of each cluster, by its name and the key."""


def path() -> Path:
    """Returns the path of the settings."""
    return paths.config_home() / "config.yaml"


def read() -> Settings:
    """Reads all settings by key; empty if nothing was set. Raises ProfileError naming the file, the key and a
    remedy."""
    try:
        text = regular_file.read(path(), LARGEST).decode()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ProfileError(f"{path()}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path()}: {error}") from None
    from hpcbrew.clusters import plain_yaml  # noqa: PLC0415 - slow to import, and most people have no settings

    try:
        values = plain_yaml.load(text) or {}
    except plain_yaml.NotPlain as error:
        raise ProfileError(error.of(path())) from None
    if not isinstance(values, dict):
        raise ProfileError(f"{path()}: must be a list of `key: value`, but this is {type(values).__name__}")
    by_cluster = values.pop(CLUSTERS, {})
    _check(values, KEYS, f"{path()}: ")
    if not isinstance(by_cluster, dict):
        raise ProfileError(f"{path()}: {CLUSTERS}: {reprlib.repr(by_cluster)} is not valid: write NAME: {{KEY: VALUE}}")
    for name, settings in by_cluster.items():
        prefix = f"{path()}: {CLUSTERS}: {reprlib.repr(name)}: "
        if not isinstance(name, str) or not isinstance(settings, dict):
            raise ProfileError(f"{prefix}{reprlib.repr(settings)} is not valid: write NAME: {{KEY: VALUE}}")
        _check(settings, OF_CLUSTER, prefix)
    return {**values, **({CLUSTERS: by_cluster} if by_cluster else {})}


def of_cluster(name: str) -> dict[str, str]:
    """Returns the settings of a cluster, by the keys of OF_CLUSTER. Raises ProfileError."""
    return dict(read().get(CLUSTERS, {}).get(name, {}))


def put_default(cluster: str | None) -> bool:
    """Sets the default cluster, or removes it if None. Returns whether that changed anything. Raises ProfileError."""
    with exclusive(_CHANGING):
        values = read()
        write({**values, CLUSTER: cluster})
    return values.get(CLUSTER) != cluster


def put_for(name: str, key: str, value: str | None) -> bool:
    """Sets a key for a cluster, or removes it if None. Returns whether that changed anything. Raises ProfileError."""
    with exclusive(_CHANGING):
        values = read()
        clusters = {cluster: dict(settings) for cluster, settings in values.pop(CLUSTERS, {}).items()}
        old_value = clusters.get(name, {}).get(key)
        clusters.setdefault(name, {}).pop(key, None)
        if value is not None:
            clusters[name][key] = value
        write({**values, CLUSTERS: {cluster: settings for cluster, settings in clusters.items() if settings}})
    return old_value != value


_CHANGING = "settings"
"""The lock for changes: otherwise, another process's change between reading and writing would be lost."""


def _check(values: dict[Any, Any], keys: dict[str, str], prefix: str) -> None:
    for key, value in values.items():
        if key not in keys:
            name = key if isinstance(key, str) else reprlib.repr(key)
            raise ProfileError(
                f"{prefix}{name}: no such setting.{did_you_mean(name, keys, repr)} There are: {', '.join(keys)}"
            )
        if not isinstance(value, str):
            raise ProfileError(f"{prefix}{key}: {reprlib.repr(value)} is not valid text")


def write(values: Settings) -> None:
    """Replaces the settings atomically. Raises ProfileError if they cannot be written."""
    import yaml  # noqa: PLC0415 - slow to import

    put(path(), yaml.safe_dump({key: value for key, value in values.items() if value}, sort_keys=True).encode())


def put(file: Path, data: bytes) -> None:
    """Writes a file of the user's settings. Raises ProfileError if that fails."""
    if file.exists() and not file.is_file():
        raise ProfileError(f"{file}: is not a regular file, and is not written to")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.replace(file, data)
    except OSError as error:
        remedy = full_disk.remedy(error.strerror, full_disk.LOCAL)
        raise ProfileError(f"{file}: cannot be written: {error.strerror}{remedy}") from None


def default_cluster() -> str:
    """Returns the default cluster. Raises ProfileError, saying how to name one, if none was set."""
    name: str | None = read().get(CLUSTER)
    if name is None:
        raise ProfileError(
            "no cluster is named. Name one with --cluster NAME (hpcbrew cluster list shows all; `local` is this "
            "machine), or set a default: hpcbrew config set cluster NAME"
        )
    return name
