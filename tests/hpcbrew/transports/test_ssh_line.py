import pytest

from hpcbrew.transports import ssh_line


def test_what_a_proxy_command_said_is_told_whether_it_ended_before_or_after_it_was_written_to():
    proxy = ssh_line.Proxy("sh -c 'echo no way there >&2; exit 1'")
    try:
        for _ in range(2):
            with pytest.raises(OSError, match="its ProxyCommand said: no way there"):
                proxy.recv(1)
            assert proxy.send(b"SSH-2.0-client") == 14
    finally:
        proxy.close()
