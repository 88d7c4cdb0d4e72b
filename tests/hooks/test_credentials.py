"""Credentials that are rotated while a process runs: a shared file, the base of an assumed role, an SSO token."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import ClientError, NoCredentialsError, SSOTokenLoadError, UnauthorizedSSOTokenError

from airflow_sm_hosting.hooks import ModelDataHook, SageMakerHostingHook, credentials
from airflow_sm_hosting.hooks.credentials import RenewableCredentials
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import event_hook


class Shelf:
    """A shared credentials file, and what AWS accepts."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "credentials"
        self.accepted = ""
        self.used: list[str] = []

    def write(self, key: str, *, accepted: bool = True) -> None:
        self.file.write_text(
            f"[default]\naws_access_key_id={key}\naws_secret_access_key=s\naws_session_token=t\n"
        )
        if accepted:
            self.accepted = key

    @contextmanager
    def asked_of(self, client: Any, code: str = "ExpiredTokenException") -> Iterator[None]:
        """Answer in AWS's place, by the key that has signed the request."""

        def send(request: Any, **_: Any) -> Any:
            found = re.search(rb"Credential=([^/]+)/", _octets(request.headers["Authorization"]))
            assert found
            key = found[1].decode()
            self.used.append(key)
            has_body = request.method != "HEAD"
            if key == self.accepted:
                return answered(200, {"Endpoints": []} if has_body else None)
            return answered(400, {"__type": code, "message": "refused"} if has_body else None)

        with event_hook(client, "before-send", send):
            yield


def _octets(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode()


def answered(status: int, body: dict[str, Any] | None) -> Any:
    from botocore.awsrequest import AWSResponse

    class Raw:
        def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
            yield json.dumps(body).encode() if body else b""

    return AWSResponse("http://aws", status, {"Content-Type": "application/x-amz-json-1.1"}, Raw())


@pytest.fixture
def shelf(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    made = Shelf(tmp_path)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(made.file))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    extra = {"region_name": "us-east-1", "endpoint_url": aws.endpoint_url, "comment": str(tmp_path)}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": extra}))
    return made


@pytest.mark.parametrize(
    "code", ["ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId"]
)
@pytest.mark.slow
def test_a_rewritten_file_is_read_again(shelf: Shelf, code: str) -> None:
    shelf.write("AKIAFIRST")
    hook = SageMakerHostingHook()
    client = hook.conn
    with shelf.asked_of(client, code):
        client.list_endpoints()
        shelf.write("AKIASECOND")
        client.list_endpoints()
        client.list_endpoints()
    assert shelf.used == ["AKIAFIRST", "AKIAFIRST", "AKIASECOND", "AKIASECOND"]
    # Another hook, made before or after, uses the new ones.
    assert SageMakerHostingHook().conn is client
    assert ModelDataHook().conn._request_signer._credentials.access_key == "AKIASECOND"  # type: ignore[attr-defined]


def test_credentials_that_have_not_changed_are_not_tried_again(shelf: Shelf) -> None:
    shelf.write("AKIAFIRST", accepted=False)
    client = SageMakerHostingHook().conn
    with shelf.asked_of(client), pytest.raises(ClientError, match="ExpiredTokenException"):
        client.list_endpoints()
    assert shelf.used == ["AKIAFIRST"]


def test_credentials_are_read_again_at_intervals(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.write("AKIAFIRST", accepted=False)
    client = SageMakerHostingHook().conn
    with shelf.asked_of(client):
        with pytest.raises(ClientError):
            client.list_endpoints()
        shelf.write("AKIASECOND")
        with pytest.raises(ClientError):
            client.list_endpoints()
        monkeypatch.setattr(credentials, "RENEWED_AFTER", 0.0)
        client.list_endpoints()
    assert shelf.used == ["AKIAFIRST", "AKIAFIRST", "AKIAFIRST", "AKIASECOND"]


def test_other_errors_read_nothing_again(shelf: Shelf) -> None:
    shelf.write("AKIAFIRST", accepted=False)
    client = SageMakerHostingHook().conn
    shelf.write("AKIASECOND")
    with shelf.asked_of(client, "AccessDeniedException"), pytest.raises(ClientError, match="AccessDenied"):
        client.list_endpoints()
    assert shelf.used == ["AKIAFIRST"]


def test_a_lookup_makes_a_new_session(shelf: Shelf) -> None:
    shelf.write("AKIAFIRST")
    hook, other = SageMakerHostingHook(), ModelDataHook()
    client, session, theirs = hook.conn, hook.get_session(), other.conn
    shelf.write("AKIASECOND")
    hook.look_up_again()
    assert hook.conn is not client
    assert hook.get_session() is not session
    assert ModelDataHook().conn is not theirs
    assert hook.conn._request_signer._credentials.access_key == "AKIASECOND"  # type: ignore[attr-defined]


# Without AWS


class Fresh(Credentials):
    """Credentials that can be frozen so many times, as those of SSO or an assumed role until their base expires."""

    def __init__(self, key: str, times: int = 1000, error: Exception | None = None) -> None:
        super().__init__(key, "secret", "token")
        self.times = times
        self.error = error or UnauthorizedSSOTokenError()

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        self.times -= 1
        if self.times < 0:
            raise self.error
        return super().get_frozen_credentials()


@pytest.mark.parametrize(
    "error",
    [
        UnauthorizedSSOTokenError(),
        SSOTokenLoadError(error_msg="no token"),
        ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, "AssumeRole"),
        RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_cannot_be_refreshed_is_read_again(error: Exception) -> None:
    kept = RenewableCredentials(lambda: Fresh("SECOND"), Fresh("FIRST", 1, error))
    assert kept.get_frozen_credentials().access_key == "FIRST"
    assert kept.access_key == "SECOND"
    assert kept.get_frozen_credentials().access_key == "SECOND"
    assert (kept.secret_key, kept.token, kept.method) == ("secret", "token", "explicit")


def test_what_cannot_be_read_again_is_the_first_error() -> None:
    def read() -> Credentials:
        raise SSOTokenLoadError(error_msg="no token")

    kept = RenewableCredentials(read, Fresh("FIRST", 0))
    with pytest.raises(UnauthorizedSSOTokenError):
        kept.get_frozen_credentials()


def test_credentials_that_come_later_are_found() -> None:
    found: list[Credentials | None] = [None]
    kept = RenewableCredentials(lambda: found[0], None)
    assert kept.access_key is None
    with pytest.raises(NoCredentialsError):
        kept.get_frozen_credentials()
    found[0] = Fresh("FIRST")
    kept._renewed_at = -1000.0
    assert kept.get_frozen_credentials().access_key == "FIRST"


def test_many_threads_read_once() -> None:
    reads: list[int] = []

    def read() -> Credentials:
        reads.append(1)
        return Fresh("SECOND")

    kept = RenewableCredentials(read, Fresh("FIRST"))
    renewed: list[bool] = []
    threads = [threading.Thread(target=lambda: renewed.append(kept.renew(0))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert renewed == [True] * 8
    assert reads == [1]
    assert not hasattr(kept, "_nothing")


def test_a_refusal_without_a_word_reads_them_again(shelf: Shelf) -> None:
    """S3 answers a HEAD with the status alone."""
    shelf.write("AKIAFIRST")
    client = ModelDataHook().conn
    shelf.write("AKIASECOND")
    with shelf.asked_of(client):
        client.head_bucket(Bucket="models")
    assert shelf.used == ["AKIAFIRST", "AKIASECOND"]
