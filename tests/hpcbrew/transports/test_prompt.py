import io

import pytest

from hpcbrew.errors import TransportError
from hpcbrew.transports.prompt import Expected, NotifyingPrompter, Terminal, Unattended, prompter


def test_where_no_terminal_is_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert isinstance(prompter(), Unattended)


def test_nobody_trusts_no_host_and_answers_nothing() -> None:
    assert not Unattended().confirm_host_key("login", "ssh-ed25519", "SHA256:any")
    assert Unattended().answer("Password: ", secret=True) is None


def test_only_the_key_that_was_given_is_taken() -> None:
    expected = Expected("SHA256:given", Unattended())
    assert expected.confirm_host_key("login", "ssh-ed25519", "SHA256:given")
    with pytest.raises(TransportError, match=r"login: its ssh-rsa key has the fingerprint SHA256:other"):
        expected.confirm_host_key("login", "ssh-rsa", "SHA256:other")


def test_what_a_server_asks_has_no_power_over_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("click.prompt", lambda words, **how: shown.append(words) or "answer")
    assert Terminal().answer("(me@host) \x1b]0;owned\x07 Password\x9b2J: ", secret=True) == "answer"
    assert shown == [r"(me@host) \x1b]0;owned\x07 Password\x9b2J"]


def test_who_is_asked_something_is_known_to_be_busy() -> None:
    asked: list[int] = []
    prompter = NotifyingPrompter(Unattended(), lambda: asked.append(1))
    assert not prompter.attended
    assert not prompter.confirm_host_key("login", "ssh-ed25519", "SHA256:any")
    assert prompter.answer("Password: ", secret=True) is None
    assert len(asked) == 2
