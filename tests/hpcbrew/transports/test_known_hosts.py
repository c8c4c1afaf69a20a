"""Host keys beside `ssh` itself, and a real server: whoever the one lets in or keeps out, so does the other."""

import base64
import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from support import beside_ssh, sshd

from hpcbrew.transports import known_hosts
from hpcbrew.transports.known_hosts import KnownHost, KnownKey, Verdict
from hpcbrew.transports.ssh_config import SshHost


@dataclass(frozen=True)
class Keys:
    """The host's name and keys as known_hosts files have them, and keys that are not its own."""

    port: int
    own: str
    other: str
    ecdsa: str

    @property
    def name(self) -> str:
        return f"[127.0.0.1]:{self.port}"

    def hashed(self, folder: Path) -> str:
        (folder / "hashed").write_text(f"{self.name} {self.own}\n")
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", folder / "hashed"], capture_output=True, check=True)
        return (folder / "hashed").read_text().strip()


Case = tuple[str, Callable[[Keys, Path], str], str, str]

STRICT, NEW, ANY = (f"StrictHostKeyChecking {value}" for value in ("yes", "accept-new", "no"))

# What known_hosts holds, an option, and what is said where nobody gets in.
CASES: tuple[Case, ...] = (
    ("known", lambda k, f: f"{k.name} {k.own}", "", ""),
    ("one key of several", lambda k, f: f"{k.name} {k.ecdsa}\n{k.name} {k.other}\n{k.name} {k.own}", "", ""),
    ("changed", lambda k, f: f"{k.name} {k.other}", "", "CHANGED"),
    ("of another kind only", lambda k, f: f"{k.name} {k.ecdsa}", NEW, "CHANGED"),
    ("pattern", lambda k, f: f"[127.0.0.*]:* {k.own}", STRICT, ""),
    ("pattern of a name without port", lambda k, f: f"127.?.0.1 {k.own}", STRICT, ""),
    ("pattern and a key of its own", lambda k, f: f"* {k.other}\n{k.name} {k.own}", STRICT, ""),
    ("negated", lambda k, f: f"*,![127.0.0.1]:{k.port},!127.0.0.1 {k.own}", STRICT, "not known here"),
    ("list of names", lambda k, f: f"a.example,{k.name},b.example {k.own} a comment", STRICT, ""),
    ("hashed", lambda k, f: k.hashed(f), STRICT, ""),
    ("another port", lambda k, f: f"[127.0.0.1]:1 {k.own}", STRICT, "not known here"),
    ("no port", lambda k, f: f"127.0.0.1 {k.own}", STRICT, ""),
    ("no port, another key", lambda k, f: f"127.0.0.1 {k.other}", STRICT, "not known here"),
    ("no port, another key, new ones taken", lambda k, f: f"127.0.0.1 {k.other}", NEW, ""),
    ("authority of others", lambda k, f: f"@cert-authority *.example.org {k.other}\n{k.name} {k.own}", STRICT, ""),
    ("authority and a key", lambda k, f: f"@cert-authority * {k.other}\n{k.name} {k.own}", STRICT, ""),
    ("authority that signed nothing", lambda k, f: f"@cert-authority * {k.other}", STRICT, "verification failed"),
    ("authority, new keys taken", lambda k, f: f"@cert-authority * {k.other}", NEW, ""),
    ("revoked", lambda k, f: f"@revoked * {k.own}\n{k.name} {k.own}", STRICT, "@revoked"),
    ("revoked, new keys taken", lambda k, f: f"@revoked {k.name} {k.own}", NEW, "@revoked"),
    ("another key revoked", lambda k, f: f"@revoked * {k.other}\n{k.name} {k.own}", STRICT, ""),
    (
        "cut lines",
        lambda k, f: f"x ssh-ed25519 AAAAC3NzaC1lZ\nx ssh-rsa\n{k.name}\n@oops\n{k.name} {k.own}",
        STRICT,
        "",
    ),
    ("own line cut", lambda k, f: f"{k.name} {k.own[:40]}", STRICT, "not known here"),
    ("comments, blanks", lambda k, f: f"# {k.name} {k.other}\n\n   \n\t{k.name}   {k.own}\n\x00\xff\n", STRICT, ""),
    ("unknown", lambda k, f: "", "", "not known here"),
    ("unknown, strict", lambda k, f: "", STRICT, "not known here"),
    ("unknown, new ones taken", lambda k, f: "", NEW, ""),
    ("unknown, any taken", lambda k, f: "", ANY, ""),
    ("changed, any taken", lambda k, f: f"{k.name} {k.other}", ANY, ""),
    ("revoked, any taken", lambda k, f: f"@revoked * {k.own}", ANY, ""),
    ("by another name", lambda k, f: f"hpc {k.own}", "HostKeyAlias hpc", ""),
    ("changed under another name", lambda k, f: f"hpc {k.other}\n{k.name} {k.own}", "HostKeyAlias hpc", "CHANGED"),
    ("no file of the user's", lambda k, f: f"{k.name} {k.own}", "UserKnownHostsFile none", "not known here"),
)


@pytest.mark.parametrize(("case", "holds", "option", "said"), CASES, ids=[case[0] for case in CASES])
def test_a_host_key_is_judged_as_ssh_judges_it(case, holds, option, said, tmp_path, short_runtime):
    with sshd.serve(tmp_path) as server:
        subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "ecdsa"], check=True)
        own, other, ecdsa = (
            " ".join((tmp_path / f"{name}.pub").read_text().split()[:2]) for name in ("host_key", "user_key", "ecdsa")
        )
        held = holds(Keys(server.port, own, other, ecdsa), tmp_path).encode("latin-1")
        server.config.write_text(f"{option}\n{server.config.read_text()}")

        def outcome(by):
            server.known_hosts.write_bytes(held)
            return by(server.config), server.known_hosts.read_text("latin-1").count("127.0.0.1")

        got_in, written = outcome(beside_ssh.ssh)
        why, written_here = outcome(beside_ssh.hpcbrew)
    assert (why == "") == got_in == (said == ""), why
    assert said in why
    assert written_here == written


def test_a_certificate_of_a_trusted_authority_is_enough(tmp_path, short_runtime):
    with sshd.serve(tmp_path, f"HostCertificate {tmp_path}/host_key-cert.pub") as server:
        sign = ["ssh-keygen", "-q", "-s", tmp_path / "user_key", "-h", "-I", "hpc", "-n", "127.0.0.1,other"]
        subprocess.run([*sign, tmp_path / "host_key.pub"], check=True)
    with sshd.serve_again(server) as again:
        authority = (tmp_path / "user_key.pub").read_text()
        again.known_hosts.write_text(f"@cert-authority * {authority}")
        assert beside_ssh.ssh(again.config)
        assert beside_ssh.hpcbrew(again.config) == ""
        again.known_hosts.write_text(f"@revoked * {authority}@cert-authority * {authority}")
        assert not beside_ssh.ssh(again.config)
        assert beside_ssh.hpcbrew(again.config) != ""


def test_keys_lie_in_several_files_and_paths_hold_spaces(tmp_path, short_runtime, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with sshd.serve(tmp_path) as server:
        known = server.known_hosts.read_text()
        server.known_hosts.unlink()
        (tmp_path / "my keys").mkdir()
        files = [tmp_path / "my keys" / "kh", tmp_path / "second", tmp_path / "of the site"]
        names = [f'"{path}"' for path in files]
        server.config.write_text(
            f"UserKnownHostsFile {names[0]} {names[1]}\nGlobalKnownHostsFile {names[2]}\n"
            + server.config.read_text().replace("GlobalKnownHostsFile /dev/null", "")
        )
        for path in files:
            path.write_text(known)
            assert beside_ssh.ssh(server.config)
            assert beside_ssh.hpcbrew(server.config) == ""
            path.unlink()
        server.config.write_text(f"StrictHostKeyChecking accept-new\n{server.config.read_text()}")
        assert beside_ssh.hpcbrew(server.config) == ""
        assert files[0].read_text() == known
        assert sorted(path.name for path in tmp_path.glob("k*")) == []


def test_a_file_that_cannot_be_written_is_told_of_and_holds_nobody_up(tmp_path):
    with sshd.serve(tmp_path) as server:
        server.known_hosts.unlink()
        (tmp_path / "file").touch()
        server.config.write_text(
            f"StrictHostKeyChecking accept-new\nUserKnownHostsFile {tmp_path}/file/kh\n{server.config.read_text()}"
        )
        assert beside_ssh.ssh(server.config)
        assert beside_ssh.hpcbrew(server.config) == ""


A, B = b"first", b"second"


@pytest.mark.parametrize(
    ("keys", "verdict"),
    [
        ((), Verdict.NEW),
        ((KnownKey("", "k", A),), Verdict.KNOWN),
        ((KnownKey("", "k", B), KnownKey("", "k", A)), Verdict.KNOWN),
        ((KnownKey("", "k", B),), Verdict.CHANGED),
        ((KnownKey("@cert-authority", "k", A),), Verdict.NEW),
        ((KnownKey("", "k", A), KnownKey("@revoked", "k", A)), Verdict.REVOKED),
        ((KnownKey("", "k", A), KnownKey("@revoked", "k", B)), Verdict.KNOWN),
    ],
)
def test_verdicts(keys, verdict):
    assert KnownHost(keys).judge(A) is verdict


def packed(*parts):
    return base64.b64encode(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).decode()


def test_lines_that_are_none_are_passed_over():
    whole, rsa = packed(b"ssh-ed25519", b"k" * 32), packed(b"ssh-rsa", b"e", b"n")
    lines = [
        "# Host h found: line 1",
        f"h ssh-ed25519 {whole} a comment",
        f"h ssh-ed25519 {whole[:-4]}",
        f"h ssh-ed25519 {whole[:-1]}",
        f"h ssh-rsa {whole}",
        "h",
        f"@revoked h ssh-rsa {rsa}",
        f"h ssh-rsa {packed(b'ssh-rsa', b'e')}",
        f"@odd h ssh-rsa {rsa}",
    ]
    assert [(k.marker, k.kind) for k in known_hosts.parse("\n".join(lines))] == [
        ("", "ssh-ed25519"),
        ("@revoked", "ssh-rsa"),
    ]


@given(some.lists(some.one_of(some.text(), some.just("h"), some.just("ssh-rsa"), some.binary().map(packed))))
def test_lines_of_any_kind_are_keys_or_nothing(words):
    assert all(key.blob for key in known_hosts.parse(" ".join(words)))


@pytest.mark.parametrize("seed", range(8))
def test_a_file_of_any_bytes_is_searched(seed, tmp_path):
    noise = random.Random(seed)
    whole = f"127.0.0.1 ssh-ed25519 {packed(b'ssh-ed25519', b'k' * 32)}\n".encode()
    lines = [bytes(noise.randrange(256) for _ in range(noise.randrange(300))) for _ in range(20)]
    (tmp_path / "kh").write_bytes(b"\n".join(lines) + b"\n" + whole)
    host = SshHost("h", "127.0.0.1", 22, "me", known_hosts=(tmp_path / "kh", tmp_path, Path("/dev/null")))
    assert [key.kind for key in known_hosts.search(host).keys if not key.marker] == ["ssh-ed25519"]
