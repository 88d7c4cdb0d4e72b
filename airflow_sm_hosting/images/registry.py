"""A small client of the registry HTTP API, version 2, which Amazon ECR and all other image registries speak.

.. seealso:: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random
from urllib3.util.retry import Retry

from airflow_sm_hosting.byte_progress import ByteProgress
from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images.manifests import ALL_MANIFESTS, digest_of

DOCKER_HUB = "registry-1.docker.io"
_CHUNK = 1024 * 1024
_CONNECT_TIMEOUT = 10
_READ_TIMEOUT = 300
_PASSING = frozenset({429, 500, 502, 503, 504})


class RegistryError(ImageBuildError):
    """A registry refused, or could not be reached."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether the same request may work a moment later."""
        return self.status is None or self.status in _PASSING

    @property
    def tag_is_immutable(self) -> bool:
        """Whether the tag names another image, and the repository does not let it be moved."""
        # ECR answers TAG_INVALID with a message that says "immutable".
        return self.status is not None and "immutable" in str(self).lower()


def is_loopback(host: str) -> bool:
    """Return whether a registry's ``host[:port]`` is this machine, so that plain HTTP is safe.

    The same rule as Docker's, which talks HTTP to 127.0.0.0/8 unasked.
    """
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def parse_image_name(name: str) -> tuple[str, str, str]:
    """Return registry host, repository and tag or digest of an image's name, as Docker reads it."""
    rest, _, digest = name.partition("@")
    host, slash, path = rest.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, path = DOCKER_HUB, rest if slash else f"library/{rest}"
    elif host in {"docker.io", "index.docker.io"}:
        host, path = DOCKER_HUB, path if "/" in path else f"library/{path}"
    repository, _, tag = path.partition(":")
    return host, repository, digest or tag or "latest"


class _CountedFile:
    """A file as the body of a request, whose bytes are counted when they are read.

    :param file: the file, at its start
    :param progress: counts them
    """

    def __init__(self, file: BinaryIO, progress: ByteProgress) -> None:
        self._file = file
        self._progress = progress
        self._size = os.fstat(file.fileno()).st_size

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        data = self._file.read(size)
        self._progress.add(len(data))
        return data

    def seek(self, place: int) -> None:
        """Begin again: the request is sent once more."""
        self._progress.add(place - self._file.tell())
        self._file.seek(place)


class RegistryClient:
    """One registry, with one set of credentials.

    :param host: ``host[:port]``; http for loopback hosts, https otherwise
    :param username: None for anonymous
    :param password: of the user; kept in memory, never logged
    """

    def __init__(self, host: str, *, username: str | None = None, password: str | None = None) -> None:
        self.host = host
        scheme = "http" if is_loopback(host) else "https"
        self._root = f"{scheme}://{host}/v2/"
        self._basic = None
        if username is not None:
            pair = f"{username}:{password or ''}".encode()
            self._basic = f"Basic {base64.b64encode(pair).decode()}"
        self._tokens: dict[str, str] = {}
        self._session = requests.Session()
        # A proxy from the environment cannot reach this machine's own loopback.
        self._session.trust_env = not is_loopback(host)
        retry = Retry(
            total=4,
            connect=2,
            backoff_factor=0.5,
            status_forcelist=sorted(_PASSING),
            allowed_methods={"GET", "HEAD"},
            respect_retry_after_header=True,
            raise_on_status=False,
        )
        self._session.mount(f"{scheme}://", HTTPAdapter(max_retries=retry))

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def has_blob(self, repository: str, digest: str) -> bool:
        """Return whether the repository has the blob."""
        answer = self._request("HEAD", repository, f"blobs/{digest}", accept_status={404})
        return answer.status_code != 404

    def upload_blob(
        self, repository: str, digest: str, path: Path, progress: ByteProgress | None = None
    ) -> None:
        """Upload a file as a blob, streamed, and let the registry check its digest.

        One PATCH with the whole content between POST and PUT, as ``docker push`` does it: ECR documents no
        monolithic PUT.

        :param progress: counts the bytes as they are sent
        :raises RegistryError: the registry refused, or still failed at the third try
        """
        for attempt in _retrying():
            with attempt, path.open("rb") as content:
                counted = _CountedFile(content, progress) if progress else content
                try:
                    self._upload(repository, digest, counted)
                except RegistryError:
                    counted.seek(0)  # what is sent again counts once
                    raise

    def _upload(self, repository: str, digest: str, content: BinaryIO | _CountedFile) -> None:
        octets = {"Content-Type": "application/octet-stream"}
        started = self._request("POST", repository, "blobs/uploads/", headers={"Content-Length": "0"})
        place = self._location(started)
        sent = self._request("PATCH", repository, place, data=content, headers=octets)
        place = self._location(sent)
        separator = "&" if urlsplit(place).query else "?"
        self._request(
            "PUT", repository, f"{place}{separator}digest={digest}", headers={**octets, "Content-Length": "0"}
        )

    def download_blob(
        self, repository: str, digest: str, path: Path, progress: ByteProgress | None = None
    ) -> None:
        """Download a blob into a file, streamed, and check its digest.

        :param progress: counts the bytes as they come
        :raises RegistryError: the registry refused, or sent something else
        """
        for attempt in _retrying():
            with attempt, self._request("GET", repository, f"blobs/{digest}", stream=True) as answer:
                received = hashlib.sha256()
                with path.open("wb") as file:
                    try:
                        for chunk in answer.iter_content(_CHUNK):
                            received.update(chunk)
                            file.write(chunk)
                            if progress:
                                progress.add(len(chunk))
                    except requests.RequestException as error:
                        raise RegistryError(
                            f"The download of the blob {digest} of {self.host}/{repository} was interrupted: "
                            f"{error}"
                        ) from error
                if f"sha256:{received.hexdigest()}" != digest:
                    raise RegistryError(
                        f"The registry {self.host} sent different content for the blob {digest}"
                    )

    def get_blob(self, repository: str, digest: str) -> bytes:
        """Return a small blob, such as an image's configuration, and check its digest."""
        content = self._request("GET", repository, f"blobs/{digest}").content
        if digest_of(content) != digest:
            raise RegistryError(f"The registry {self.host} sent different content for the blob {digest}")
        return content

    def get_manifest(self, repository: str, reference: str) -> tuple[str, bytes]:
        """Return the media type and the bytes of a manifest.

        :param reference: tag or digest
        :raises RegistryError: there is none (``status`` is 404), or the registry refused
        """
        answer = self._request(
            "GET", repository, f"manifests/{reference}", headers={"Accept": ", ".join(ALL_MANIFESTS)}
        )
        if reference.startswith("sha256:") and digest_of(answer.content) != reference:
            raise RegistryError(
                f"The registry {self.host} sent different content for the manifest {reference}"
            )
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        if media_type not in ALL_MANIFESTS:
            # OCI makes mediaType optional in the manifest, some registries send a general Content-Type.
            media_type = str(json.loads(answer.content).get("mediaType", media_type))
        return media_type, answer.content

    def put_manifest(self, repository: str, reference: str, content: bytes, media_type: str) -> str:
        """Put a manifest under a tag or its digest and return its digest.

        :raises RegistryError: the registry refused; ``tag_is_immutable`` marks one reason
        """
        for attempt in _retrying():
            with attempt:
                self._request(
                    "PUT",
                    repository,
                    f"manifests/{reference}",
                    data=content,
                    headers={"Content-Type": media_type},
                )
        return digest_of(content)

    def _request(
        self,
        method: str,
        repository: str,
        place: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: BinaryIO | _CountedFile | bytes | None = None,
        stream: bool = False,
        accept_status: set[int] | None = None,
    ) -> requests.Response:
        url = place if place.startswith(("http://", "https://")) else f"{self._root}{repository}/{place}"
        answer = self._send(method, url, repository, headers, data, stream)
        if answer.status_code == 401 and self._answer_challenge(answer, repository):
            if data is not None and not isinstance(data, bytes):
                data.seek(0)
            answer = self._send(method, url, repository, headers, data, stream)
        if answer.ok or answer.status_code in (accept_status or ()):
            return answer
        raise RegistryError(
            f"The registry {self.host} refused {method} on {repository}: {_reason(answer)}",
            status=answer.status_code,
        )

    def _send(
        self,
        method: str,
        url: str,
        repository: str,
        headers: Mapping[str, str] | None,
        data: BinaryIO | _CountedFile | bytes | None,
        stream: bool,
    ) -> requests.Response:
        try:
            return self._session.request(
                method,
                url,
                headers=dict(headers or {}),
                data=data,
                stream=stream,
                # A function and not a header: with none given, requests would take the user's ~/.netrc.
                auth=lambda request: self._authorize(request, repository),
                timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
            )
        except requests.RequestException as error:
            raise RegistryError(f"The registry {self.host} cannot be reached: {error}") from error

    def _authorize(self, request: requests.PreparedRequest, repository: str) -> requests.PreparedRequest:
        # An upload's place may be on another host (S3 behind a registry): credentials do not go there.
        if urlsplit(request.url or "").netloc == self.host:
            credential = self._tokens.get(repository) or self._basic
            if credential:
                request.headers["Authorization"] = credential
        return request

    def _answer_challenge(self, answer: requests.Response, repository: str) -> bool:
        """Get the token that the registry requires; False if it requires another kind of authentication.

        .. seealso:: https://distribution.github.io/distribution/spec/auth/token/
        """
        challenge = answer.headers.get("WWW-Authenticate", "")
        if not challenge.lower().startswith("bearer "):
            return False
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        if "realm" not in fields:
            return False
        query = {
            "scope": f"repository:{repository}:pull,push" if self._basic else f"repository:{repository}:pull"
        }
        if "service" in fields:
            query["service"] = fields["service"]
        realm = urlsplit(fields["realm"])
        if realm.scheme != "https" and not is_loopback(realm.netloc):
            raise RegistryError(
                f"The registry {self.host} requests credentials without TLS for {realm.netloc}"
            )
        headers = {"Authorization": self._basic} if self._basic else {}
        try:
            token = self._session.get(
                fields["realm"],
                params=query,
                auth=lambda request: _with_headers(request, headers),
                timeout=(_CONNECT_TIMEOUT, _CONNECT_TIMEOUT * 3),
            )
        except requests.RequestException as error:
            raise RegistryError(f"The token service of {self.host} cannot be reached: {error}") from error
        if not token.ok:
            raise RegistryError(
                f"The registry {self.host} returned no token for {repository}: {_reason(token)}",
                status=token.status_code,
            )
        body = token.json()
        self._tokens[repository] = f"Bearer {body.get('token') or body['access_token']}"
        return True

    def _location(self, answer: requests.Response) -> str:
        return urljoin(answer.url, answer.headers["Location"])


def _retrying() -> Retrying:
    return Retrying(
        stop=stop_after_attempt(3),
        wait=wait_exponential(multiplier=0.5, max=8) + wait_random(0, 1),
        retry=retry_if_exception(lambda error: isinstance(error, RegistryError) and error.passing),
        reraise=True,
    )


def _with_headers(request: requests.PreparedRequest, headers: Mapping[str, str]) -> requests.PreparedRequest:
    request.headers.update(headers)
    return request


def _reason(answer: requests.Response) -> str:
    """Return the registry's error message: ``{"errors": [{"code": …, "message": …}]}``, or the status."""
    try:
        body: Any = answer.json()
        said = "; ".join(f"{error.get('code')}: {error.get('message')}" for error in body["errors"])
    except (ValueError, KeyError, TypeError, AttributeError):
        said = ""
    return said or f"HTTP {answer.status_code} {answer.reason}"
