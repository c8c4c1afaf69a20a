"""The submitter's errors. Each message is self-contained: where, what was found, what is allowed, what to do."""


class HpcbrewError(Exception):
    """Anything that the user can fix. The command line prints it without a traceback and exits with `status`."""

    status = 2


class ProfileError(HpcbrewError):
    """A cluster profile is unknown or wrong: the message names file, key, value and choices."""


class RequestError(HpcbrewError):
    """The cluster, or this machine, does not allow the job: the message says what would be allowed."""


class ManifestError(HpcbrewError):
    """A file that a solver needs is missing or cannot be used: the message names it and where it is named."""


class LedgerError(HpcbrewError):
    """The ledger of submitted jobs cannot be read or written, or has no such job."""


class SchedulerError(HpcbrewError):
    """The scheduler refused, in its own words."""


class TransportError(HpcbrewError):
    """A command could not be run, or a file not moved. `retryable` distinguishes a lost connection from a refusal."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class Unanswered(TransportError):
    """A command was started and was silent for so long that it was given up: what became of it is unknown.

    It is `retryable`, since it may answer another time, but it is not repeated automatically.
    """

    def __init__(
        self, machine: str, task: str, seconds: float, advice: str = "Try it there by hand, or later again"
    ) -> None:
        fault = (
            f"{machine}: {task} gave no answer within {seconds:.0f} s: the scheduler or a file system there may hang"
        )
        super().__init__(f"{fault}. {advice}", retryable=True)
        self.machine, self.task, self.seconds = machine, task, seconds


class Unreachable(TransportError):
    """The host's name is unknown here, or the host does not answer: another network may be needed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True)


class LoginRefused(TransportError):
    """The server was reached but refused the login. `methods`: the authentication methods that were left to try;
    `fault`: the message without its advice."""

    def __init__(self, fault: str, methods: frozenset[str] = frozenset(), advice: str = "") -> None:
        super().__init__(f"{fault}. {advice}" if advice else fault)
        self.fault, self.methods = fault, methods


class HostUnknown(TransportError):
    """The server's key is not known here, and nobody has confirmed it. `fault`: the message without its advice."""

    def __init__(self, fault: str, fingerprint: str, advice: str) -> None:
        super().__init__(f"{fault}. {advice}")
        self.fault, self.fingerprint = fault, fingerprint
