"""An S3 that keeps no bytes, over HTTPS: what a client costs, without the cost of a store. It believes the checksums that it is given.

``python benchmarks/s3_sink.py FOLDER`` writes a certificate to ``FOLDER/ca.pem`` and prints its port; it ends when its input does.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

BLOCK = 1024 * 1024
#: What is stored: size, checksum and metadata by path; unfinished uploads by id.
OBJECTS: dict[str, dict[str, str]] = {}
UPLOADS: dict[str, dict[str, str]] = {}


class Handler(BaseHTTPRequestHandler):
    """Speaks as much of S3 as an upload needs."""

    protocol_version = "HTTP/1.1"
    rbufsize = BLOCK

    def do_HEAD(self) -> None:
        found = OBJECTS.get(urlsplit(self.path).path)
        self.answer(200 if found else 404, headers=found or {})

    def do_GET(self) -> None:
        self.answer(
            200, "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
        )

    def do_PUT(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        size = self.drain()
        if "uploadId" in asked:
            UPLOADS[asked["uploadId"][0]][asked["partNumber"][0]] = str(size)
        else:
            self.store(dict(self.headers), size)
        self.answer(200, headers={"ETag": '"0"'})

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        asked = parse_qs(url.query, keep_blank_values=True)
        self.drain()
        if "uploads" in asked:
            name = os.urandom(8).hex()
            UPLOADS[name] = {
                key: value for key, value in self.headers.items() if key.startswith("x-amz-meta-")
            }
            self.answer(
                200,
                f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>",
            )
            return
        kept = UPLOADS.pop(asked["uploadId"][0])
        size = sum(int(value) for key, value in kept.items() if key.isdigit())
        self.store({**self.headers, **kept}, size)
        self.answer(200, "<CompleteMultipartUploadResult><ETag>0</ETag></CompleteMultipartUploadResult>")

    def do_DELETE(self) -> None:
        OBJECTS.pop(urlsplit(self.path).path, None)
        self.answer(204)

    def store(self, headers: Mapping[str, str], size: int) -> None:
        """Keep what HEAD answers of an object."""
        given = {key.lower(): value for key, value in headers.items()}
        kept = {
            key: value for key, value in given.items() if key.startswith(("x-amz-meta-", "x-amz-checksum-"))
        }
        OBJECTS[unquote(urlsplit(self.path).path)] = {**kept, "Content-Length": str(size), "ETag": '"0"'}

    def drain(self) -> int:
        """Read the body, and forget it; return the bytes that the object has."""
        length = int(self.headers.get("Content-Length") or 0)
        self.skip(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            while chunk := int(self.rfile.readline(), 16):
                self.skip(chunk + 2)
            self.rfile.readline()
        return int(self.headers.get("x-amz-decoded-content-length") or length)

    def skip(self, left: int) -> None:
        """Read bytes, and forget them."""
        view = memoryview(bytearray(min(left, BLOCK)))
        while left:
            left -= self.rfile.readinto(view[: min(left, BLOCK)])

    def answer(self, status: int, body: str = "", headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def write_certificate(folder: Path) -> None:
    """Write a certificate of 127.0.0.1, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def main() -> None:
    """Serve until the input ends."""
    folder = Path(sys.argv[1])
    write_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
