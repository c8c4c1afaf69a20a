"""Translates the comment by which PBS's scheduler says why a job waits. Its messages are those in OpenPBS's
`src/scheduler/job_info.cpp` and `check.cpp`."""

import re

LONGEST = 300
"""The most characters shown of a comment: PBS's own have some dozens, but a site's hook may write a page."""

SHORT_OF = re.compile(
    r"(?P<how>Not Running|Can Never Run): Insufficient amount of (?P<whose>\w+ )?resource:? "
    r"(?P<name>\w+)(?: \(R: (?P<asked>\S+) A: (?P<free>\S+) T: (?P<total>[^\s)]+)\))?"
)
# For a resource that is text, such as the GPU type.
NONE_OF = re.compile(
    r"(?:Not Running|Can Never Run): Insufficient amount of (?:\w+ )?resource:? "
    r"(?P<name>\w+) \((?P<asked>[^()]*?) != (?P<there>[^()]*)\)"
)
HELD = re.compile(r"Job held by (?P<who>\S+) on (?P<when>\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})?")
WORDS = {"ngpus": "GPUs", "ncpus": "cores", "mem": "of memory", "walltime": "of walltime"}
OF_THINGS = {"mem": "memory", "walltime": "walltime"}
WHO = {"user": ("you", "", "you"), "group": ("your group", "s", "it"), "project": ("your project", "s", "it")}

TOO_SMALL = "Placement set is too small"
"""Newer versions say this first, and then name the resource."""

IN_ROUTE = "it waits in a routing queue, and none of the queues behind it accepts it yet"

# Comments of an array, or made by PBS itself, that do not say why a job is not running.
SILENT = re.compile(r"Job Array Began|Subjob (finished|failed|terminated)|Job run at ")

PATTERNS = (
    (TOO_SMALL, "no group of nodes that belong together has room for it"),
    (r"Node is in an ineligible state: (?P<when>.+)", "a node that it could use is {when}"),
    (r"Job is requesting an exclusive node and node is in use", "it needs nodes for itself, and none is empty"),
    (r"Queue not started", "its queue is stopped for now"),
    (r"Queue not an execution queue", IN_ROUTE),
    (
        r"Not enough free nodes available|Not enough of the right type of nodes( are)? available",
        "not enough nodes are free",
    ),
    (r"Not enough total nodes available", "there are fewer nodes than it requests"),
    (r"No available resources on nodes", "no node is free for it"),
    (
        r"(Queue (?P<queue>\S+?)|Server) job limit (has been |)reached.*",
        "the limit of running jobs{in_queue} is reached",
    ),
    (
        r"(?P<who>User|Group|Project) has reached (queue (?P<queue>\S+?)(?:'s)? |queue |server )running (job )?limit",
        "{who} run{s} as many jobs{in_queue} as {they} may",
    ),
    (
        r"(Queue (?P<queue>\S+?)|Server) per-(?P<who>user|group|project) limit reached on resource (?P<what>\S+)",
        "{who} use{s} all of the {what} that {they} may use at once{in_queue}",
    ),
    (
        r"would exceed (?P<who>user|group|project) \S+'s limit on resource (?P<what>\S+) in "
        r"(complex|queue (?P<queue>\S+))",
        "{who} use{s} all of the {what} that {they} may use at once{in_queue}",
    ),
    (
        r"would exceed overall limit on resource (?P<what>\S+) in (complex|queue (?P<queue>\S+))",
        "no more {what} may be in use at once{in_queue}",
    ),
    (r"Number of concurrent running subjobs limit reached", "the limit of running jobs of the sweep is reached"),
    (r"Draining system to allow starving job to run", "nodes are kept free for a job that has waited for long"),
    (
        r"Job would interfere with a top job|Job would conflict with reservation or top job",
        "the nodes are kept for jobs ahead of it: a shorter walltime may fit in between",
    ),
    (
        r"Job would interfere with a (confirmed )?reservation",
        "the nodes are reserved from before it would end: a shorter walltime may fit in before",
    ),
    (r"Job would break strict sorted order|Strict fifo order", "jobs ahead of it in the queue go first"),
    (
        r"Dedicated time conflict|Job would (cross|not finish before) dedicated time.*",
        "the machine is set aside from before it would end: a shorter walltime may fit in before",
    ),
    (r"Job (will run|only runs) in (?P<when>\S+)( only)?", "it runs in {when} only"),
    (r"Job will cross into (?P<when>.+)", "it would run into {when}: a shorter walltime may fit in before"),
    (
        r"(?i:can't fit in the largest placement set).*|\S+ set \S+ has too few free resources.*",
        "no group of nodes that belong together has room for it",
    ),
    (
        r"(?i:job held, too many failed attempts to run|Job Array Held, too many failed attempts).*",
        "held by the system: PBS failed to start it many times; ask the site, or cancel it and submit it again",
    ),
    (r"PBS Error: (?P<when>.+)", "PBS tried to start it but could not: {when}"),
    (r'Job has been moved to "(?P<when>.+)"', "moved to {when}"),
)


def in_words(comment: str) -> str:
    """Says why a job does not run; returns an unknown comment as it is."""
    comment = comment.strip().replace(f": {TOO_SMALL}: ", ": ")
    if match := NONE_OF.match(comment):
        return f"no node has {match['name']}={match['asked']}: there are {shortened(match['there'])}"
    if match := SHORT_OF.match(comment):
        return _short_of(match)
    if match := HELD.match(comment):
        return f"held by {match['who']}" + (f" since {match['when']}" if match["when"] else "")
    if SILENT.match(comment):
        return ""
    plain = re.sub(r"^(Not Running|Can Never Run): ", "", comment).rstrip(".")
    for pattern, words in PATTERNS:
        if match := re.fullmatch(pattern, plain):
            reason = _filled(words, match)
            never = comment.startswith("Can Never Run: ")
            return f"can never run: {reason}: cancel it, and request less" if never else reason
    return shortened(comment)


def shortened(text: str) -> str:
    """Returns text from outside on one line, shortened to LONGEST characters."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _filled(words: str, match: re.Match[str]) -> str:
    parts = match.groupdict()
    who, s, they = WHO.get((parts.get("who") or "").lower(), ("", "", ""))
    queue, what = parts.get("queue"), parts.get("what") or ""
    thing = OF_THINGS.get(what, WORDS.get(what, what))
    in_queue = f" in queue {queue}" if queue else ""
    return words.format(who=who, s=s, they=they, in_queue=in_queue, what=thing, when=parts.get("when"))


def _short_of(match: re.Match[str]) -> str:
    """R, A and T are what the job requests, what is free, and the total; without them, no single node has enough."""
    name = WORDS.get(match["name"], match["name"])
    asked, free, total = match["asked"], match["free"], match["total"]
    short = OF_THINGS.get(match["name"], name)
    if asked is None and name in ("vnode", "host"):
        return "waits for the node that it requests"
    if asked is None and name not in WORDS.values():
        waits = "waits for a" if match["how"] == "Not Running" else "can never run: there is no"
        return (
            f"{waits} node with the {name} that it needs, a resource of the site's own; perhaps another --queue or "
            "--gpu-type is meant: `hpcbrew cluster check` lists what there is"
        )
    if asked is None:
        if match["how"] == "Can Never Run":
            return f"can never run: no node has as much {short} as it requests: cancel it, and request less"
        return (
            f"waits for {short}: no single node has what it requests; if none is that large "
            "(hpcbrew cluster check), cancel it and request less"
        )
    if match["how"] == "Can Never Run":
        return f"can never run: it requests {asked} {name}, of {total} in all: cancel it, and request less"
    return f"waits for {short}: it requests {asked}, and {free} of {total} are free"
