from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.byte_progress import ByteProgress
from airflow_sm_hosting.exceptions import ImageBuildError, InvalidSpecError
from airflow_sm_hosting.images import manifests
from airflow_sm_hosting.images.builders import Destination, check_platform, settle_manifest
from airflow_sm_hosting.images.registry import RegistryClient, RegistryError, is_loopback
from tests.images.conftest import manifest_digest


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1:5000", True),
        ("127.1.2.3", True),
        ("localhost:80", True),
        ("[::1]:5000", True),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", False),
        ("10.0.0.1:5000", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_plain_http_is_for_this_machine_only(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback
    assert Destination(f"{host}/a/b", "t", "u", "p").insecure == loopback


def test_a_destination_hides_its_password() -> None:
    destination = Destination("127.0.0.1:1/a/b", "t", "AWS", "s3cret")
    assert "s3cret" not in repr(destination)
    assert (destination.host, destination.repository) == ("127.0.0.1:1", "a/b")


@pytest.mark.parametrize("uri", ["churn", "team/churn", "127.0.0.1:5000", "https:"])
def test_a_destination_without_a_registry_is_refused(uri: str) -> None:
    with pytest.raises(InvalidSpecError, match="repository URI"):
        Destination(uri, "t", "u", "p")


def test_another_platform_is_an_error_that_says_what_would_happen() -> None:
    check_platform("linux/arm64/v8", os_name="linux", architecture="arm64", what="It")
    with pytest.raises(ImageBuildError, match=r"linux/arm64, but linux/amd64.*exec format error"):
        check_platform("linux/amd64", os_name="linux", architecture="arm64", what="It")


@pytest.fixture
def blob(tmp_path: Path) -> tuple[str, Path]:
    path = tmp_path / "blob"
    path.write_bytes(b"{}" + bytes(3_000_000))
    return manifests.digest_of(path.read_bytes()), path


@pytest.mark.engine
class TestRealRegistry:
    def test_blobs_go_there_and_back(self, registry: Any, blob: tuple[str, Path], tmp_path: Path) -> None:
        digest, path = blob
        with registry.client() as client:
            assert not client.has_blob("r/blobs", digest)
            client.upload_blob("r/blobs", digest, path)
            assert client.has_blob("r/blobs", digest)
            client.download_blob("r/blobs", digest, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == path.read_bytes()

    def test_a_wrong_digest_is_refused(self, registry: Any, blob: tuple[str, Path]) -> None:
        with registry.client() as client, pytest.raises(RegistryError, match="DIGEST_INVALID"):
            client.upload_blob("r/wrong", f"sha256:{'0' * 64}", blob[1])

    def test_a_wrong_password_is_refused_without_showing_it(self, registry: Any) -> None:
        with (
            RegistryClient(registry.host, username="AWS", password="wrong-one") as client,
            pytest.raises(RegistryError, match="UNAUTHORIZED") as caught,
        ):
            client.get_manifest("r/a", "v1")
        assert caught.value.status == 401
        assert "wrong-one" not in str(caught.value)

    def test_a_missing_manifest_is_404(self, registry: Any) -> None:
        with registry.client() as client:
            assert manifest_digest(client, "r/none", "v1") is None
            with pytest.raises(RegistryError) as caught:
                client.get_manifest("r/none", "v1")
        assert caught.value.status == 404

    def _put_image(
        self, client: RegistryClient, repository: str, tmp_path: Path, *, oci: bool
    ) -> dict[str, Any]:
        def blob(content: bytes) -> dict[str, Any]:
            path = tmp_path / "part"
            path.write_bytes(content)
            digest = manifests.digest_of(content)
            client.upload_blob(repository, digest, path)
            return {"digest": digest, "size": len(content)}

        return {
            "schemaVersion": 2,
            "mediaType": manifests.OCI_MANIFEST if oci else manifests.DOCKER_MANIFEST,
            "config": {"mediaType": manifests.OCI_CONFIG if oci else manifests.DOCKER_CONFIG, **blob(b"{}")},
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"
                    if oci
                    else manifests.DOCKER_LAYER,
                    **blob(b"layer"),
                }
            ],
        }

    @pytest.mark.parametrize("index", [False, True])
    @pytest.mark.parametrize("oci", [False, True])
    def test_what_was_pushed_becomes_what_sagemaker_takes(
        self, registry: Any, tmp_path: Path, log: Any, oci: bool, index: bool
    ) -> None:
        destination = registry.destination(tag="latest")
        repository = destination.repository
        with registry.client() as client:
            manifest = self._put_image(client, repository, tmp_path, oci=oci)
            content, media_type = manifests.to_bytes(manifest), manifest["mediaType"]
            if index:
                digest = client.put_manifest(repository, manifests.digest_of(content), content, media_type)
                entry = {"mediaType": media_type, "size": len(content), "digest": digest}
                media_type = manifests.OCI_INDEX if oci else manifests.DOCKER_MANIFEST_LIST
                listed = {
                    "schemaVersion": 2,
                    "mediaType": media_type,
                    "manifests": [{**entry, "platform": {"os": "linux", "architecture": "amd64"}}],
                }
                content = manifests.to_bytes(listed)
            client.put_manifest(repository, "latest", content, media_type)
            pushed = settle_manifest(client, destination, "latest", platform="linux/amd64", log=log)
            assert client.get_manifest(repository, "latest")[0] == manifests.DOCKER_MANIFEST
            assert manifest_digest(client, repository, "latest") == pushed.digest
            assert (pushed.media_type, pushed.size) == (manifests.DOCKER_MANIFEST, 7)
            assert settle_manifest(client, destination, "latest", platform="linux/amd64", log=log) == pushed
            if index:
                client.put_manifest(repository, "latest", content, media_type)
                with pytest.raises(ImageBuildError, match="it has linux/amd64"):
                    settle_manifest(client, destination, "latest", platform="linux/arm64", log=log)


class Stub:
    """Answers as no registry can be made to at will."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str | None]] = []
        self.answer: Callable[[str, str, str | None], tuple[int, dict[str, str], bytes]]
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def _handle(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                authorization = self.headers.get("Authorization")
                stub.requests.append((self.command, self.path, authorization))
                status, headers, body = stub.answer(self.command, self.path, authorization)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = _handle

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    yield server
    server.close()


@pytest.mark.parametrize("username", [None, "me"])
def test_a_token_is_fetched_once_and_sent(stub: Stub, username: str | None) -> None:
    def answer(method: str, path: str, authorization: str | None) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("/token"):
            return 200, {}, b'{"token": "t0k"}'
        if authorization != "Bearer t0k":
            realm = f'Bearer realm="http://{stub.host}/token",service="reg",scope="x"'
            return 401, {"WWW-Authenticate": realm}, b"{}"
        return 200, {"Content-Type": manifests.OCI_INDEX}, b"{}"

    stub.answer = answer
    with RegistryClient(stub.host, username=username, password="pw") as client:
        client.get_manifest("library/python", "3")
        client.get_manifest("library/python", "4")
    tokens = [request for request in stub.requests if request[1].startswith("/token")]
    assert len(tokens) == 1
    assert "service=reg" in tokens[0][1]
    assert "repository%3Alibrary%2Fpython%3Apull" in tokens[0][1]
    assert tokens[0][2] == (None if username is None else "Basic bWU6cHc=")
    assert len(stub.requests) == 4


def test_a_busy_registry_is_asked_again(stub: Stub) -> None:
    statuses = iter([503, 200])
    stub.answer = lambda *_: (next(statuses), {"Content-Type": manifests.DOCKER_MANIFEST}, b"{}")
    with RegistryClient(stub.host) as client:
        assert client.get_manifest("a", "b") == (manifests.DOCKER_MANIFEST, b"{}")


def test_a_redirect_to_another_host_gets_no_credentials(stub: Stub) -> None:
    other = Stub()
    other.answer = lambda *_: (200, {}, b"{}")
    stub.answer = lambda *_: (307, {"Location": f"http://{other.host}/signed"}, b"")
    try:
        with RegistryClient(stub.host, username="AWS", password="pw") as client:
            assert client.get_blob("a", manifests.digest_of(b"{}")) == b"{}"
    finally:
        other.close()
    assert stub.requests[0][2] is not None
    assert other.requests == [("GET", "/signed", None)]


def test_another_content_than_the_digest_says_is_refused(stub: Stub) -> None:
    stub.answer = lambda *_: (200, {"Content-Type": manifests.DOCKER_MANIFEST}, b"{}")
    with RegistryClient(stub.host) as client:
        for ask in (client.get_blob, client.get_manifest):
            with pytest.raises(RegistryError, match="different content"):
                ask("a", f"sha256:{'0' * 64}")


def test_with_an_immutable_tag_the_other_manifest_has_a_tag_of_its_own(stub: Stub, log: Any) -> None:
    config = b'{"os": "linux", "architecture": "amd64"}'
    digest = manifests.digest_of(config)
    oci = {
        "schemaVersion": 2,
        "config": {"mediaType": manifests.OCI_CONFIG, "digest": digest, "size": len(config)},
        "layers": [],
    }
    said = {
        "errors": [{"code": "TAG_INVALID", "message": "The image tag 'v1' already exists and is immutable."}]
    }

    def answer(method: str, path: str, _: str | None) -> tuple[int, dict[str, str], bytes]:
        if path.endswith(digest):
            return 200, {}, config
        if method == "GET":
            known = path.endswith("/v1")
            return 200 if known else 404, {"Content-Type": manifests.OCI_MANIFEST}, json.dumps(oci).encode()
        return (400, {}, json.dumps(said).encode()) if path.endswith("/v1") else (201, {}, b"")

    stub.answer = answer
    destination = replace(Destination("h.example/a", "v1", "u", "p"), repository_uri=f"{stub.host}/a")
    with destination.registry() as client:
        pushed = settle_manifest(client, destination, "v1", platform="linux/amd64", log=log)
    assert [path for method, path, *_ in stub.requests if method == "PUT"][-1] == "/v2/a/manifests/v1-docker"
    assert pushed.digest == manifests.digest_of(manifests.to_bytes(manifests.to_docker(oci)))
    assert "immutable" in log.text


@pytest.mark.usefixtures("short_pauses")
def test_an_unreachable_registry_is_named() -> None:
    with (
        RegistryClient("127.0.0.1:1") as client,
        pytest.raises(RegistryError, match=r"127.0.0.1:1 cannot be reached"),
    ):
        client.get_manifest("a", "b")


def test_the_bytes_of_a_blob_are_counted_once_although_it_is_sent_twice(
    stub: Stub, log: Any, tmp_path: Path, short_pauses: None
) -> None:
    """The registry fails in the middle, so the file is sent from its start again."""
    blob = tmp_path / "blob"
    blob.write_bytes(b"x" * 3_000_000)
    patches: list[str] = []

    def answer(method: str, path: str, authorization: str | None) -> tuple[int, dict[str, str], bytes]:
        if method == "PATCH":
            patches.append(path)
            if len(patches) == 1:
                return 503, {}, b""
        return 202 if method != "PUT" else 201, {"Location": "/v2/a/blobs/uploads/1"}, b""

    stub.answer = answer
    progress = ByteProgress(log, "Pushing", 3_000_000, clock=lambda: 0.0)
    with RegistryClient(stub.host) as client:
        client.upload_blob("a", manifests.digest_of(blob.read_bytes()), blob, progress)
    assert len(patches) == 2
    assert progress._done == 3_000_000
