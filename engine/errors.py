"""The engine's exceptions. Each message is complete in itself: where, what was found, what is allowed, what to do."""


class EngineError(RuntimeError):
    """Anything the user can put right. The command line prints it without a traceback and exits with status 2.

    It is a RuntimeError because that is what programs written for pycaffe catch.
    """


class PrototxtError(EngineError):
    """A text or binary protobuf file that cannot be read: the message names file, line and field."""


class NetError(EngineError):
    """A net whose layers do not fit together."""


class LayerError(NetError):
    """A layer whose configuration or bottoms are wrong: the message names file, line, layer and type."""


class DataError(EngineError):
    """A database, list or picture that is missing, empty or damaged: the message names the source and the record."""


class BadRecord(DataError):
    """One record of a source that cannot be used, while the others can."""


class SnapshotError(EngineError):
    """A model or solver state that cannot be read, written or applied to this net."""


class SolverError(EngineError):
    """A solver whose settings are missing, contradictory or unknown. `field`: the field at fault, if there is one."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class DivergedError(SolverError):
    """A training whose values are no longer finite, so that nothing it computes from here on means anything."""


class DeviceError(EngineError):
    """A device that was requested and is not available."""


def not_installed(error: ModuleNotFoundError) -> str:
    """The message for a missing library. Re-raises `error` if the missing module is part of this project."""
    if (error.name or "").startswith(("engine", "hpcbrew")):
        raise error
    return f"{error.name} is not installed, and the engine needs it: pip install 'hpcbrew[engine]'"
