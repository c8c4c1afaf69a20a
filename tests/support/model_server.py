"""A server of model files, over TLS or not: complete, in ranges, and with the faults of real servers."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class ModelServer(ThreadingHTTPServer):
    """`body`: what every path but the following serves, ranges too. /cut breaks off after `cut` bytes each time; /whole
    ignores ranges; /digits gives a length that no int has; /to/URL redirects; /gone does not exist. `asked`: path and
    Range of each request."""

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body, self.cut = body, len(body) // 3
        self.asked: list[tuple[str, str | None]] = []


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Range"]))
        if self.path == "/gone":
            self.send_error(404)
        elif self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
        else:
            self._give()

    def _give(self) -> None:
        body, first = self.server.body, 0
        if self.headers["Range"] and self.path != "/whole":
            first = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if first >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.end_headers()
                return
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", "1" * 5000 if self.path == "/digits" else str(len(body) - first))
        self.end_headers()
        last = first + self.server.cut if self.path == "/cut" else len(body)
        self.wfile.write(body[first:last])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(body: bytes, certificate: Path | None = None) -> Iterator[tuple[str, ModelServer]]:
    """The URL and the server. With `certificate`, a file made by `certify`, it uses TLS."""
    with ModelServer(body) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}", server
        server.shutdown()


def certify(path: Path) -> Path:
    """Writes a key and a self-signed certificate for 127.0.0.1 to one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
