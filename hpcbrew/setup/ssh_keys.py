"""Enables login without a password: finds or makes the user's key, and installs it on the cluster."""

import subprocess
from pathlib import Path, PurePosixPath

from engine.host import regular_file
from hpcbrew.errors import LoginRefused, TransportError
from hpcbrew.setup.report import Report
from hpcbrew.transports import ssh_config
from hpcbrew.transports.base import Transport
from hpcbrew.transports.identities import KEY
from hpcbrew.transports.paramiko_ssh import Ssh
from hpcbrew.transports.prompt import Prompter
from hpcbrew.transports.ssh_config import SshHost

# Prints `there` or `added`. Ignores lines that are commented out, and never rewrites existing lines.
INSTALL = r"""
umask 077
mkdir -p -- "$HOME/.ssh" && cd -- "$HOME/.ssh" || exit 1
if [ -e authorized_keys ] && grep -v '^[[:space:]]*#' authorized_keys | grep -qF -- "$1"; then
    echo there
    exit
fi
{
    [ ! -s authorized_keys ] || [ -z "$(tail -c 1 authorized_keys)" ] || echo
    printf '%s\n' "$2"
} >>authorized_keys && echo added
"""


class KeysOnly:
    """A prompter that only lets keys be unlocked, so that no other method is tried."""

    attended = False

    def __init__(self, prompter: Prompter) -> None:
        self._prompter = prompter

    def confirm_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        return False  # it is known by now

    def answer(self, prompt: str, *, secret: bool) -> str | None:
        return self._prompter.answer(prompt, secret=secret) if prompt.startswith("Passphrase of") else None


def choose(host: SshHost, kind: str) -> Path:
    """Returns the private key for this host, existing or to be made, at a path where ssh looks for it, so that `ssh
    HOST` uses it too.

    An existing key of the wanted type (`ed25519`, `rsa`) comes first, then a new one of that type, then whatever the
    user's ssh configuration names. Raises TransportError if ssh would use no key at all.
    """
    existing = [path for path in host.identities if path.exists()]
    missing = [path for path in host.identities if not path.exists()]
    ours = [path for path in existing if public_key(path).startswith(f"ssh-{kind} ")]
    new = [path for path in missing if path.name == f"id_{kind}"]
    named = [path for path in missing if not path.name.startswith("id_")]
    usable = [path for path in existing if public_key(path)]
    for candidates in (ours, new, named, usable):
        if candidates:
            return candidates[0]
    raise TransportError(
        f"ssh uses no key for {host.alias} that could be read or made. Put `IdentityFile ~/.ssh/id_{kind}` for it into "
        f"~/.ssh/config, and run this again"
    )


def public_key(path: Path) -> str:
    """Returns a private key's line for authorized_keys, from its .pub file or from the key itself; empty if neither can
    be read."""
    try:
        return regular_file.read(path.with_name(f"{path.name}.pub"), KEY).decode().strip()
    except (OSError, UnicodeDecodeError):
        command = ["ssh-keygen", "-y", "-P", "", "-f", str(path)]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return result.stdout.strip() if result.returncode == 0 else ""


def make(path: Path, kind: str, *, ask: bool) -> None:
    """Makes a key pair. With `ask`, ssh-keygen itself asks for a passphrase; otherwise the key has none. Raises
    TransportError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    bits = ["-b", "4096"] if kind == "rsa" else []
    phrase = [] if ask else ["-N", ""]
    result = subprocess.run(["ssh-keygen", "-q", "-t", kind, *bits, *phrase, "-f", str(path)], check=False)
    if result.returncode != 0:
        raise TransportError(f"{path}: ssh-keygen made no key (exit status {result.returncode})")


def install(transport: Transport, public: str) -> bool:
    """Adds a public key to ~/.ssh/authorized_keys there. Returns False if it was there already. Raises
    TransportError."""
    blob = " ".join(public.split()[:2])
    answer = transport.run(["bash", "-c", INSTALL, "bash", blob, public], PurePosixPath("/"))
    if answer.status != 0 or answer.out.split()[-1:] not in (["there"], ["added"]):
        raise TransportError(
            f"~/.ssh/authorized_keys could not be written there: {answer.words}. Make it writable for you; or, if the "
            f"site has keys registered elsewhere, register this one there and try again: {public}"
        )
    return answer.out.split()[-1] == "added"


def prepare(host: SshHost, kind: str, session: Transport, report: Report, *, ask: bool) -> None:
    """Installs a key over a `session` that is already logged in. Reports what it did. Raises TransportError."""
    path = choose(host, kind)
    if path.exists():
        report(f"found your key {path}")
    else:
        if ask:  # ssh-keygen's own question says neither what the passphrase is for nor whose it is
            report(f"making an SSH key for you, {path}. Choose a passphrase that protects it, or leave it empty")
        make(path, kind, ask=ask)
        report(f"made a key: {path}" + ("" if ask else " (without a passphrase; ssh-keygen -p gives it one)"))
    public = public_key(path)
    if not public:
        raise TransportError(f"{path}: its public key cannot be read. Make it: ssh-keygen -y -f {path} >{path}.pub")
    added = install(session, public)
    report(f"{'added it to' if added else 'it is in'} ~/.ssh/authorized_keys on {host.alias}")


def proven(connection: Ssh, host: SshHost) -> str:
    """Says whether the key is accepted; `connection` is one that can offer nothing else."""
    try:
        connection.run(["true"], PurePosixPath("/"))
    except LoginRefused as error:
        if "publickey" in error.methods:
            return (
                "but the server does not accept the key. Unless the site has keys registered elsewhere, your folders "
                f"there must not be writable by others: {ssh_config.typed(host.alias)} chmod go-w . .ssh "
                ".ssh/authorized_keys"
            )
        return f"the site asks for more than a key at each login: {', '.join(sorted(error.methods))}"
    finally:
        connection.close()
    return "the key works: no password from now on"
