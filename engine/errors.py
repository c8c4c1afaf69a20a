"""The engine's one family of errors. Each message stands alone: where, what was found, what is allowed, what to do."""


class EngineError(RuntimeError):
    """Anything the user can put right. The command line prints it without a traceback and exits with status 2.

    A RuntimeError, because that is what programs written for pycaffe catch.
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
    """A solver whose settings are missing, contradictory or unknown. `field`: the one at fault, if it is one."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class DivergedError(SolverError):
    """A training whose numbers are not finite any more: nothing that it goes on to compute means anything."""


class DeviceError(EngineError):
    """A device that was asked for and is not there."""


def not_installed(error: ModuleNotFoundError) -> str:
    """What to say of a library that is missing. Raises `error` again where it is a part of this project."""
    if (error.name or "").startswith(("engine", "hpcbrew")):
        raise error
    return f"{error.name} is not installed, and the engine needs it: pip install 'hpcbrew[engine]'"
