"""Errors of PBS's commands: the message and the exit status, PBS's error number modulo 256."""

UNKNOWN_JOB = (153, "Unknown Job Id")
FINISHED = 35
NO_HISTORY = 36
NO_PERMISSION = 159
BAD_VALUE = 166
UNKNOWN_QUEUE = 170
QUEUE_CLOSED = 173
UNKNOWN_RESOURCE = 187
OVER_LIMIT = 188


class Refused(Exception):
    """`said` is printed to stderr unchanged."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status, self.said = status, said
