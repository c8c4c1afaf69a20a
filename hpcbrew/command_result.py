"""What a command answered: the value that a transport returns and a scheduler reads."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CommandResult:
    """Exit status, standard output and standard error, as text."""

    status: int
    out: str = ""
    err: str = ""

    @property
    def words(self) -> str:
        """What the command had to say for itself, without blank edges."""
        return self.err.strip() or self.out.strip() or f"exit status {self.status} and no message"
