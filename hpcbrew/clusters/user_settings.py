"""The user's own settings: `config.yaml` in the configuration folder, written by `hpcbrew config set`."""

import reprlib
from pathlib import Path

from engine.host import atomic_file, regular_file
from engine.suggest import did_you_mean
from hpcbrew import full_disk, paths
from hpcbrew.errors import ProfileError

LARGEST = 2**16  # bytes

KEYS = {"cluster": "the cluster that commands use when --cluster is not given"}


def path() -> Path:
    """Where the settings are written."""
    return paths.config_home() / "config.yaml"


def read() -> dict[str, str]:
    """Every setting by its key; none where nothing was set. Raises ProfileError naming file, key and what would do."""
    try:
        text = regular_file.read(path(), LARGEST).decode()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ProfileError(f"{path()}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path()}: {error}") from None
    import yaml  # noqa: PLC0415 - slow to import, and most people have no settings

    try:
        values = yaml.safe_load(text) or {}
    except RecursionError:
        raise ProfileError(f"{path()}: is nested too deep") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that there is not
        raise ProfileError(f"{path()}: not YAML: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(values, dict):
        raise ProfileError(f"{path()}: settings are a list of `key: value`; this is {type(values).__name__}")
    for key, value in values.items():
        check_key(key if isinstance(key, str) else reprlib.repr(key), f"{path()}: ")
        if not isinstance(value, str):
            raise ProfileError(f"{path()}: {key}: {reprlib.repr(value)} is not valid text")
    return values


def check_key(key: str, where: str = "") -> None:
    """Raises ProfileError for a setting that there is not."""
    if key not in KEYS:
        raise ProfileError(
            f"{where}{key}: no such setting.{did_you_mean(key, KEYS, repr)} There are: {', '.join(KEYS)}"
        )


def write(values: dict[str, str]) -> None:
    """Replaces the settings, all or nothing. Raises ProfileError where they cannot be written."""
    import yaml  # noqa: PLC0415 - as above

    put(path(), yaml.safe_dump(values, sort_keys=True).encode())


def put(file: Path, data: bytes) -> None:
    """Writes a file of the user's settings. Raises ProfileError where that cannot be done."""
    if file.exists() and not file.is_file():
        raise ProfileError(f"{file}: is no file, and is not written to")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.replace(file, data)
    except OSError as error:
        remedy = full_disk.remedy(error.strerror, full_disk.LOCAL)
        raise ProfileError(f"{file}: cannot be written: {error.strerror} ({error.filename}){remedy}") from None


def default_cluster() -> str:
    """The cluster to use when none is named. Raises ProfileError, saying how to name one, where none was set."""
    name = read().get("cluster")
    if name is None:
        raise ProfileError(
            "no cluster is named. Name one with --cluster NAME (hpcbrew cluster list shows them; `local` is this "
            "machine), or once and for all: hpcbrew config set cluster NAME"
        )
    return name
