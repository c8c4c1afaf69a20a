"""What `ssh HOST` would do, asked of OpenSSH itself: `ssh -G` reads the user's configuration, aliases and all."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError


@dataclass(frozen=True)
class SshHost:
    """One host, resolved. `known_hosts` are the user's files, then the system's; `jumps` are hops on the way there.

    `new_keys`: what to do with a host key not seen before, `ask`, `accept` or `refuse`.
    """

    alias: str
    hostname: str
    port: int
    user: str
    identities: tuple[Path, ...] = ()
    identities_only: bool = False
    known_hosts: tuple[Path, ...] = ()
    host_key_alias: str | None = None
    hash_known_hosts: bool = False
    new_keys: str = "ask"
    jumps: tuple[str, ...] = ()
    proxy_command: str | None = None
    connect_timeout: float = 20.0

    @property
    def known_as(self) -> str:
        """The host's name in known_hosts files."""
        name = self.host_key_alias or self.hostname
        return name if self.port == 22 or self.host_key_alias else f"[{name}]:{self.port}"


def arguments(destination: str) -> tuple[str, ...]:
    """What names a host to ssh, options and all. `destination`: an alias or `[user@]host[:port]`, as in a ProxyJump."""
    user, _, rest = destination.rpartition("@")
    host, colon, port = rest.rpartition(":")
    if not colon or not port.isdigit() or host.endswith(":"):
        host, port = rest, ""
    options = (*(("-l", user) if user else ()), *(("-p", port) if port else ()))
    return (*options, "--", host.strip("[]"))


def resolve_command(destination: str) -> tuple[str, ...]:
    """Prints what ssh would do for that destination: see `parse`."""
    return ("ssh", "-G", *arguments(destination))


def parse(destination: str, answer: CommandResult) -> SshHost:
    """Raises TransportError in ssh's own words, for a configuration that it cannot read."""
    if answer.status != 0:
        raise TransportError(f"ssh cannot resolve {destination!r}: {answer.words}")
    values: defaultdict[str, list[str]] = defaultdict(list)
    for line in answer.out.splitlines():
        key, _, value = line.partition(" ")
        values[key.lower()].append(value.strip())

    def first(key: str, default: str = "") -> str:
        value = values[key][0] if values[key] else default
        return default if value.lower() == "none" else value

    timeout = first("connecttimeout")
    jumps = first("proxyjump")
    return SshHost(
        alias=destination,
        hostname=first("hostname", destination),
        port=int(first("port", "22")),
        user=first("user"),
        identities=tuple(Path(p).expanduser() for p in values["identityfile"]),
        identities_only=first("identitiesonly") == "yes",
        known_hosts=tuple(
            Path(p).expanduser() for key in ("userknownhostsfile", "globalknownhostsfile") for p in first(key).split()
        ),
        host_key_alias=first("hostkeyalias") or None,
        hash_known_hosts=first("hashknownhosts") == "yes",
        new_keys=_new_keys(first("stricthostkeychecking", "ask")),
        jumps=tuple(j for j in jumps.split(",") if j),
        proxy_command=first("proxycommand") or None,
        connect_timeout=float(timeout) if timeout.isdigit() else 20.0,
    )


def _new_keys(strict: str) -> str:
    if strict in ("no", "off", "false", "accept-new"):
        return "accept"
    return "refuse" if strict in ("yes", "true") else "ask"


def proxy_words(host: SshHost) -> str:
    """The ProxyCommand with ssh's tokens filled in."""
    tokens = {"%h": host.hostname, "%p": str(host.port), "%r": host.user, "%n": host.alias, "%%": "%"}
    command = (host.proxy_command or "").removeprefix("exec ")
    out, i = "", 0
    while i < len(command):
        pair = command[i : i + 2]
        out += tokens.get(pair, command[i])
        i += 2 if pair in tokens else 1
    return out
