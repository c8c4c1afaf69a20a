"""A simulated user at the terminal, and a login that prompts them."""

from hpcbrew.transports import ssh_auth
from hpcbrew.transports.prompt import Unattended
from support.sshd import Server


class Person(Unattended):
    """A user at the terminal who accepts or rejects a host key and gives these answers to prompts."""

    def __init__(self, *answers, trusts=False):
        self.answers = list(answers)
        self.trusts = trusts
        self.shown = []

    def confirm_host_key(self, host, kind, fingerprint):
        self.shown.append((host, kind, fingerprint))
        return self.trusts

    def answer(self, prompt, *, secret):
        self.shown.append(prompt)
        return self.answers.pop(0) if self.answers else None


def login(server: Server, person: Person, destination: str = "cluster") -> int:
    """Logs in and out again, and returns how many connections it took."""
    clients = ssh_auth.connect(destination, server.resolve, person)
    ssh_auth.close(clients)
    return len(clients)
