"""The result of a command, which transports return and schedulers interpret."""

from dataclasses import dataclass

HALF = 1000
"""The characters of a command's output that a message shows from each end."""


@dataclass(frozen=True)
class CommandResult:
    """Exit status, standard output and standard error, as text."""

    status: int
    out: str = ""
    err: str = ""

    @property
    def words(self) -> str:
        """The command's error message, or else its output; only the start and the end if it is long."""
        message = self.err.strip() or self.out.strip() or f"exit status {self.status} and no message"
        return message if len(message) <= 2 * HALF else f"{message[:HALF]} … {message[-HALF:]}"
