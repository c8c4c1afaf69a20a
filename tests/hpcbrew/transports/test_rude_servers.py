"""Servers that are mute, or never stop: a word soon, an end in words, and memory that does not grow without bound."""

import re
import resource
import time
from pathlib import PurePosixPath

import pytest
from support import login_server, rude_server
from support.person import Person

from hpcbrew.errors import TransportError, Unanswered
from hpcbrew.transports import paramiko_ssh, process, retry, ssh_config, waiting
from hpcbrew.transports.openssh import OpenSsh
from hpcbrew.transports.paramiko_ssh import Ssh
from hpcbrew.transports.prompt import Unattended

TOP = PurePosixPath("/")


@pytest.fixture(params=["ssh", "openssh"])
def connected(request, tmp_path, short_runtime, monkeypatch):
    """A function that gives a transport to a port, and a list of what it says meanwhile."""
    monkeypatch.setattr(ssh_config, "PATIENCE", 3.0)
    monkeypatch.setattr(waiting, "WORD", 0.5)
    monkeypatch.setattr(retry, "MUTE", 2.0)
    monkeypatch.setattr(retry, "PAUSES", (0.0, 0.0))
    said = []

    def connect(port):
        config = rude_server.config(tmp_path, port)
        if request.param == "ssh":
            transport = Ssh("cluster", Unattended(), lambda name: paramiko_ssh.resolve(name, config), config)
        else:
            transport = OpenSsh("cluster", attended=False, config=config)
        transport.say = said.append
        return transport

    return connect, said


def mute(line):
    line.recv(1)
    time.sleep(60)


def endless_line(line):
    while True:
        line.sendall(b"x" * 2**16)


def endless_greeting(line):
    while True:
        line.sendall(b"hello\r\n" * 1000)


def one_byte_a_second(line):
    while True:
        line.sendall(b"S")
        time.sleep(0.2)


def endless_packet(line):
    line.sendall(b"SSH-2.0-OpenSSH_9\r\n\xff\xff\xff\xf0")
    endless_line(line)


def garbage(line):
    line.sendall(b"SSH-2.0-OpenSSH_9\r\n" + bytes([0, 0, 0, 12, 4, 20, *range(10)]) * 50)


def hang_up(line):
    line.close()


@pytest.mark.parametrize(
    "speak", [mute, endless_line, endless_greeting, one_byte_a_second, endless_packet, garbage, hang_up]
)
def test_a_server_that_lets_nobody_in_comes_to_an_end_in_words(speak, connected):
    connect, said = connected
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with (
        rude_server.listening(speak) as port,
        pytest.raises(TransportError, match=r"no connection|the login gave no answer"),
    ):
        connect(port).run(["true"], TOP)
    assert time.monotonic() - started < 15
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 2**10  # KiB
    if speak is mute:
        assert said[0] == "cluster: no login yet after 0 s; still waiting for its answer"


def test_what_a_server_says_of_itself_has_no_power_over_the_terminal(connected):
    connect, _ = connected

    def speak(line):
        line.sendall(b"\x1b]0;owned\x07 and \x9b2J\r\n")
        line.close()

    with rude_server.listening(speak) as port, pytest.raises(TransportError) as raised:
        connect(port).run(["true"], TOP)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", str(raised.value))


def endless(channel, command):
    while True:
        channel.sendall(b"y" * 2**15)


def endless_errors(channel, command):
    while True:
        channel.sendall_stderr(b"y" * 2**15)


def no_status(channel, command):
    mark = re.search(rb"--\w{16}--", command)[0]
    time.sleep(0.2)
    channel.sendall(b"\n1 %b\n%b" % (mark, mark))
    channel.sendall_stderr(b"%b\n%b soon" % (mark, mark))
    channel.send_exit_status(0)
    channel.close()


def silent(channel, command):
    time.sleep(60)


def dripping(channel, command):
    while True:
        channel.sendall(b".")
        time.sleep(0.3)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (endless, TransportError, r"`true` printed more than 4 MiB and was given up"),
        (endless_errors, TransportError, r"`true` printed more than 4 MiB and was given up"),
        (no_status, TransportError, "ends without an exit status"),
        (silent, Unanswered, "gave no answer within 1 s"),
        (dripping, Unanswered, "gave no answer within 5 s"),
    ],
)
def test_an_answer_that_never_ends_is_given_up(answer, error, words, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "IDLE_TIMEOUT", 1.0)
    monkeypatch.setattr("hpcbrew.transports.remote_shell.FAREWELL", 1.0)
    monkeypatch.setattr(process, "MOST", 4 * 2**20)
    started = time.monotonic()
    with rude_server.answering(tmp_path, answer) as server:
        transport = Ssh("cluster", Person(trusts=True), server.resolve)
        with pytest.raises(error, match=words):
            transport.run(["true"], TOP)
        transport.close()
    assert time.monotonic() - started < 20


def test_a_slow_answer_is_told_of_and_waited_for(tmp_path, monkeypatch):
    said = []
    with login_server.serve(tmp_path) as server:
        (server.home / ".ssh").mkdir()
        person = Person(login_server.PASSWORD, trusts=True)
        transport = Ssh("cluster", person, server.resolve)
        transport.run(["true"], TOP)  # logged in, which may take its time
        transport.say = said.append
        monkeypatch.setattr(waiting, "WORD", 0.5)
        assert transport.run(["sh", "-c", "sleep 1.2; echo done"], TOP).out == "done\n"
        transport.close()
    assert said == ["cluster: `sh -c 'sleep 1.2; echo done'`: no answer for 0 s; still waiting"]


def test_who_types_a_password_is_not_told_that_nobody_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting, "WORD", 2.5)
    said = []

    class Slow(Person):
        def answer(self, prompt, *, secret):
            time.sleep(3)
            return super().answer(prompt, secret=secret)

    with login_server.serve(tmp_path) as server:
        transport = Ssh("cluster", Slow(login_server.PASSWORD, trusts=True), server.resolve)
        transport.say = said.append
        transport.run(["true"], TOP)
        transport.close()
    assert said == []
