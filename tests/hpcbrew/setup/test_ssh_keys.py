import subprocess
from pathlib import Path

import pytest

from hpcbrew.errors import TransportError
from hpcbrew.setup import ssh_keys
from hpcbrew.transports.ssh_config import SshHost


class TestInstall:
    """What becomes of the file, by itself."""

    PUBLIC = "ssh-ed25519 AAAAC3 me@laptop"

    def test_other_keys_stay_though_their_last_line_has_no_end(self, login_home) -> None:
        path = login_home.home / ".ssh" / "authorized_keys"
        path.parent.mkdir()
        path.write_text("ssh-rsa AAAAB3 other")
        assert ssh_keys.install(login_home.transport, self.PUBLIC)
        assert path.read_text() == f"ssh-rsa AAAAB3 other\n{self.PUBLIC}\n"

    def test_a_key_that_is_there_is_not_added_though_its_comment_differs(self, login_home) -> None:
        assert ssh_keys.install(login_home.transport, self.PUBLIC)
        assert not ssh_keys.install(login_home.transport, "ssh-ed25519 AAAAC3 me@elsewhere")

    def test_one_that_was_taken_out_of_use_is_not_there(self, login_home) -> None:
        path = login_home.home / ".ssh" / "authorized_keys"
        path.parent.mkdir()
        path.write_text(f"# {self.PUBLIC}\n")
        assert ssh_keys.install(login_home.transport, self.PUBLIC)

    def test_new_ones_are_the_users_alone(self, login_home) -> None:
        ssh_keys.install(login_home.transport, self.PUBLIC)
        modes = [
            path.stat().st_mode & 0o777
            for path in (login_home.home / ".ssh", login_home.home / ".ssh" / "authorized_keys")
        ]
        assert modes == [0o700, 0o600]


class TestChoose:
    """Which key: ssh must find it as well."""

    @staticmethod
    def host(folder: Path, *names: str) -> SshHost:
        return SshHost("cluster", "login", 22, "me", tuple(folder / name for name in names))

    @staticmethod
    def key(path: Path, kind: str) -> Path:
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)
        return path

    def test_one_of_the_wanted_kind_before_all_others(self, tmp_path: Path) -> None:
        self.key(tmp_path / "id_rsa", "rsa")
        mine = self.key(tmp_path / "mine", "ed25519")
        assert ssh_keys.choose(self.host(tmp_path, "id_rsa", "id_ed25519", "mine"), "ed25519") == mine

    def test_else_a_new_one_where_ssh_looks_for_it(self, tmp_path: Path) -> None:
        self.key(tmp_path / "id_rsa", "rsa")
        assert ssh_keys.choose(self.host(tmp_path, "id_rsa", "id_ed25519"), "ed25519") == tmp_path / "id_ed25519"
        assert ssh_keys.choose(self.host(tmp_path, "id_rsa", "hpc"), "ed25519") == tmp_path / "hpc"

    def test_else_the_only_one_that_is_configured(self, tmp_path: Path) -> None:
        only = self.key(tmp_path / "work", "rsa")
        only.with_name("work.pub").unlink()
        assert ssh_keys.choose(self.host(tmp_path, "work"), "ed25519") == only

    def test_without_any_the_error_says_what_to_configure(self, tmp_path: Path) -> None:
        with pytest.raises(TransportError, match="IdentityFile"):
            ssh_keys.choose(self.host(tmp_path), "ed25519")
