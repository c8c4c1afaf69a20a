"""The submitter's family of errors. Each message stands alone: where, what was found, what is allowed, what to do."""


class HpcbrewError(Exception):
    """Anything the user can put right. The command line prints it without a traceback and exits with `status`."""

    status = 2


class ProfileError(HpcbrewError):
    """A cluster profile that is unknown or wrong: the message names file, key, value and choices."""


class RequestError(HpcbrewError):
    """A job that the cluster, or this machine, does not allow: the message says what would do."""


class ManifestError(HpcbrewError):
    """A file that a solver needs is missing or cannot be used: the message names it and where it is asked for."""


class LedgerError(HpcbrewError):
    """The record of submitted jobs cannot be read or written, or holds no such job."""


class SchedulerError(HpcbrewError):
    """The scheduler refused, in its own words."""


class TransportError(HpcbrewError):
    """A command could not be run or a file not be moved. `retryable` tells a dropped line from a refusal."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class Unanswered(TransportError):
    """A command was begun and said nothing for so long that it was given up: nobody can tell what became of it.

    `retryable`: another time it may answer. It is not run again without being asked for.
    """

    def __init__(
        self, where: str, what: str, seconds: float, advice: str = "Try it there by hand, or later again"
    ) -> None:
        fault = f"{where}: {what} gave no answer within {seconds:.0f} s: the scheduler or a file system there may hang"
        super().__init__(f"{fault}. {advice}", retryable=True)
        self.where, self.what, self.seconds = where, what, seconds


class Unreachable(TransportError):
    """The host is not known by its name here, or nobody answers there: another network may be needed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True)


class LoginRefused(TransportError):
    """The server was reached and would not let the user in. `offered`: the ways of logging in that were left to try;
    `fault`: the message without its advice."""

    def __init__(self, fault: str, offered: frozenset[str] = frozenset(), advice: str = "") -> None:
        super().__init__(f"{fault}. {advice}" if advice else fault)
        self.fault, self.offered = fault, offered


class HostUnknown(TransportError):
    """The server shows a key that is not known here, and nobody has confirmed it. `fault`: without the advice."""

    def __init__(self, fault: str, fingerprint: str, advice: str) -> None:
        super().__init__(f"{fault}. {advice}")
        self.fault, self.fingerprint = fault, fingerprint
