"""Why a job waits: the comment that PBS's scheduler puts on it, in words."""

import re

SHORT_OF = re.compile(
    r"(?P<how>Not Running|Can Never Run): Insufficient amount of (?P<whose>\w+ )?resource:? "
    r"(?P<name>\w+) \(R: (?P<asked>\S+) A: (?P<free>\S+) T: (?P<total>[^\s)]+)\)"
)
HELD = re.compile(r"Job held by (?P<who>\S+) on (?P<when>.+)")
WORDS = {"ngpus": "GPUs", "ncpus": "cores", "mem": "of memory", "walltime": "of walltime"}
KNOWN = {
    "Queue not started": "its queue is stopped for now",
    "Not enough free nodes available": "not enough nodes are free",
    "User has reached queue running job limit": "you run as many jobs in this queue as you may",
    "User has reached server running job limit": "you run as many jobs as you may",
    "Draining system to allow starving job to run": "nodes are kept free for a job that has waited for long",
}


def in_words(comment: str) -> str:
    """What hinders a job; a comment of another kind as it stands."""
    if match := SHORT_OF.match(comment):
        return _short_of(match)
    if match := HELD.match(comment):
        return f"held by {match['who']} since {match['when']}"
    if comment.startswith("Job Array Began"):  # of the array, and its jobs that still wait bear it too
        return ""
    plain = comment.removeprefix("Not Running: ").rstrip(".")
    return KNOWN.get(plain, comment)


def _short_of(match: re.Match[str]) -> str:
    """R, A and T are what the job asks for, what is free, and what there is in all."""
    name = WORDS.get(match["name"], match["name"])
    asked, free, total = match["asked"], match["free"], match["total"]
    if match["how"] == "Can Never Run":
        return f"can never run: it asks for {asked} {name}, and there are {total} in all: cancel it, and ask for less"
    return f"waits for {name}: it asks for {asked}, and {free} of {total} are free"
