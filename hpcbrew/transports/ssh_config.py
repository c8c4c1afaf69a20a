"""Finds out what `ssh HOST` would do from OpenSSH itself: `ssh -G` reads the user's configuration, aliases and all."""

import contextlib
import getpass
import os
import re
import shlex
import socket
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from hpcbrew.command_result import CommandResult
from hpcbrew.errors import TransportError

METHODS = ("publickey", "keyboard-interactive", "password")
"""The authentication methods that paramiko knows, in the order in which ssh tries them."""

PATIENCE = 20.0
"""Seconds for a connection and its handshake if the user's configuration names none: ssh itself would wait forever."""

REACH = 5.0
"""Seconds, of these, in which a host must answer at all."""

_CLIENT_ONLY = {
    "certificatefile": (),
    "pkcs11provider": (),
    "knownhostscommand": (),
    "revokedhostkeys": (),
    "bindaddress": (),
    "bindinterface": (),
    "addressfamily": ("any",),
    "securitykeyprovider": ("internal",),
    "proxyusefdpass": ("no",),
    "verifyhostkeydns": ("no", "false", "ask"),
    "nohostauthenticationforlocalhost": ("no",),
}
"""Options for which paramiko has no equivalent, and the values with which they have no effect."""


@dataclass(frozen=True)
class SshHost:
    """One host, resolved. `known_hosts` are the user's files and `global_known_hosts` the system's; `jumps` are the
    jump hosts on the way.

    `new_keys`: what to do with an unknown host key, `ask`, `accept` or `refuse`; `any_key`: whether a changed key is
    accepted too. `agent`: the socket of the agent with the keys, `SSH_AUTH_SOCK` for the one that this variable names,
    or None. `methods`: the authentication methods that may be tried; `other_methods`: further ones that only ssh knows.
    `client_only`: an option in use that only ssh itself can honour.
    """

    alias: str
    hostname: str
    port: int
    user: str
    identities: tuple[Path, ...] = ()
    identities_only: bool = False
    known_hosts: tuple[Path, ...] = ()
    global_known_hosts: tuple[Path, ...] = ()
    host_key_alias: str | None = None
    hash_known_hosts: bool = False
    new_keys: str = "ask"
    any_key: bool = False
    agent: str | None = "SSH_AUTH_SOCK"
    methods: tuple[str, ...] = METHODS
    other_methods: tuple[str, ...] = ()
    jumps: tuple[str, ...] = ()
    proxy_command: str | None = None
    connect_timeout: float = PATIENCE
    reach_timeout: float = REACH
    client_only: str = ""

    @property
    def known_as(self) -> str:
        """The host's name in known_hosts files."""
        name = self.host_key_alias or self.hostname
        return name if self.port == 22 or self.host_key_alias else f"[{name}]:{self.port}"


def split(destination: str) -> tuple[str, str, str]:
    """Returns user, host and port, empty if not named. `destination`: an alias, `[user@]host[:port]` as in a ProxyJump,
    or `ssh://[user@]host[:port]`."""
    uri = destination.startswith("ssh://")
    user, _, rest = destination.removeprefix("ssh://").removesuffix("/" if uri else "").rpartition("@")
    host, colon, port = rest.rpartition(":")
    if not colon or not port.isdecimal() or host.endswith(":") or (":" in host and not host.endswith("]")):
        host, port = rest, ""
    return unquote(user) if uri else user, host.strip("[]"), port


def arguments(destination: str) -> tuple[str, ...]:
    """Returns the arguments that name a host to ssh, with options: see `split`."""
    user, host, port = split(destination)
    options = (*(("-l", user) if user else ()), *(("-p", port) if port else ()))
    return (*options, "--", host)


def typed(destination: str) -> str:
    """Returns the command that a person would type: `ssh user@host:port` would look for a host of that name."""
    user, host, port = split(destination)
    words = ["ssh", *(["-p", port] if port else []), f"{user}@{host}" if user else host]
    return shlex.join(words)


def resolve_command(destination: str) -> tuple[str, ...]:
    """Returns the command that prints what ssh would do for that destination: see `parse`."""
    return ("ssh", "-G", *arguments(destination))


def parse(destination: str, answer: CommandResult, is_file: Callable[[str], bool] = os.path.isfile) -> SshHost:
    """Reads the output of `resolve_command`. Raises TransportError, in ssh's own words, for a configuration that ssh
    cannot read.

    `is_file` is needed since ssh prints several files on one line, and paths may contain spaces.
    """
    if answer.status != 0:
        raise TransportError(f"ssh cannot resolve {destination!r}: {answer.words}")
    values: defaultdict[str, list[str]] = defaultdict(list)
    for line in answer.out.splitlines():
        key, _, value = line.partition(" ")
        values[key.lower()].append(value.strip())

    def first(key: str, default: str = "") -> str:
        value = values[key][0] if values[key] else default
        return default if value.lower() == "none" else value

    _, host, _ = split(destination)
    tokens = _tokens(first("hostname", host), first("port", "22"), first("user"), host, first("hostkeyalias"))
    strict, timeout = first("stricthostkeychecking", "ask"), first("connecttimeout")
    ways = _ways(first)
    return SshHost(
        alias=destination,
        hostname=tokens["%h"],
        port=_port(tokens["%p"], destination),
        user=tokens["%r"],
        identities=tuple(_path(p, tokens) for p in values["identityfile"] if p.lower() != "none"),
        identities_only=first("identitiesonly") == "yes",
        known_hosts=_files(first("userknownhostsfile"), is_file),
        global_known_hosts=_files(first("globalknownhostsfile"), is_file),
        host_key_alias=first("hostkeyalias") or None,
        hash_known_hosts=first("hashknownhosts") == "yes",
        new_keys=_new_keys(strict),
        any_key=strict in ("no", "off", "false"),
        agent=_agent(values["identityagent"], tokens),
        methods=tuple(way for way in ways if way in METHODS),
        other_methods=tuple(way for way in ways if way not in METHODS),
        jumps=tuple(filled(j, tokens) for j in first("proxyjump").split(",") if j),
        proxy_command=first("proxycommand") or None,
        connect_timeout=seconds(timeout, PATIENCE),
        reach_timeout=seconds(timeout, REACH),
        client_only=next((key for key, idle in _CLIENT_ONLY.items() if first(key) not in ("", *idle)), ""),
    )


def _port(value: str, destination: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", value):
        raise TransportError(
            f"ssh has {value!r} as the port of {destination!r}, which must be a number (~/.ssh/config)"
        )
    return int(value)


def seconds(timeout: str, otherwise: float) -> float:
    """Reads a ConnectTimeout as `ssh -G` prints it: a number of seconds, or `none`, for which it returns
    `otherwise`."""
    return float(timeout) if re.fullmatch("[0-9]{1,9}", timeout) else otherwise


def _new_keys(strict: str) -> str:
    if strict in ("no", "off", "false", "accept-new"):
        return "accept"
    return "refuse" if strict in ("yes", "true") else "ask"


def _ways(first: Callable[..., str]) -> list[str]:
    """Returns the authentication methods that the configuration allows, in its order."""
    disabled = {
        "publickey": first("pubkeyauthentication") in ("no", "false"),
        "keyboard-interactive": first("kbdinteractiveauthentication") == "no",
        "password": first("passwordauthentication") == "no",
        "gssapi-with-mic": first("gssapiauthentication") != "yes",
        "hostbased": first("hostbasedauthentication") != "yes",
    }
    if first("batchmode") == "yes":
        disabled |= {"keyboard-interactive": True, "password": True}
    preference = first("preferredauthentications")
    order = preference.split(",") if preference else ["gssapi-with-mic", "hostbased", *METHODS]
    return [way for way in order if not disabled.get(way, True)]


def _files(value: str, is_file: Callable[[str], bool]) -> tuple[Path, ...]:
    """Splits a line into files; they are separated by spaces, but a path may contain spaces too.

    The longest run of words that names an existing file is one; otherwise a path extends to where another begins.
    """
    words, files = value.split(" ") if value else [], []
    while words:
        ends = range(len(words), 0, -1)
        longest = next((n for n in ends if is_file(str(_expanded(" ".join(words[:n]))))), 0)
        count = longest or next((n for n in range(1, len(words)) if words[n][:1] in ("/", "~")), len(words))
        files.append(_expanded(" ".join(words[:count])))
        words = words[count:]
    return tuple(files)


def _agent(values: list[str], tokens: Mapping[str, str]) -> str | None:
    value = values[0] if values else "SSH_AUTH_SOCK"
    if value == "none":
        return None
    if re.fullmatch(r"\$\w+", value):
        return os.environ.get(value[1:])
    return value if value == "SSH_AUTH_SOCK" else str(_path(value, tokens))


def _path(value: str, tokens: Mapping[str, str]) -> Path:
    """Returns a path of the configuration with its tokens filled in: `ssh -G` prints it as it is written there."""
    text = re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match[1], match[0]), filled(value, tokens))
    return _expanded(text)


def _expanded(path: str) -> Path:
    """Returns a path with `~` expanded, except for users that this machine does not know."""
    with contextlib.suppress(RuntimeError, ValueError):
        return Path(path).expanduser()
    return Path(path)


def _tokens(hostname: str, port: str, user: str, alias: str, key_alias: str) -> dict[str, str]:
    name = socket.gethostname()
    return {
        "%%": "%",
        "%d": str(Path.home()),
        "%h": hostname,
        "%i": str(os.getuid()),
        "%k": key_alias or alias,
        "%L": name.partition(".")[0],
        "%l": name,
        "%n": alias,
        "%p": port,
        "%r": user,
        "%u": getpass.getuser(),
    }


def filled(text: str, tokens: Mapping[str, str]) -> str:
    """Returns a text with ssh's tokens filled in."""
    return re.sub("%.", lambda match: tokens.get(match[0], match[0]), text)


def proxy_words(host: SshHost) -> str:
    """Returns the ProxyCommand with ssh's tokens filled in."""
    _, alias, _ = split(host.alias)
    tokens = {"%h": host.hostname, "%p": str(host.port), "%r": host.user, "%n": alias, "%%": "%"}
    return filled((host.proxy_command or "").removeprefix("exec "), tokens)
