"""What a command answered: the value that a transport returns and a scheduler reads."""

from dataclasses import dataclass

HALF = 1000
"""Letters of what a command said that a message shows from each end."""


@dataclass(frozen=True)
class CommandResult:
    """Exit status, standard output and standard error, as text."""

    status: int
    out: str = ""
    err: str = ""

    @property
    def words(self) -> str:
        """What the command had to say for itself, without blank edges; of much the beginning and the end."""
        said = self.err.strip() or self.out.strip() or f"exit status {self.status} and no message"
        return said if len(said) <= 2 * HALF else f"{said[:HALF]} … {said[-HALF:]}"
