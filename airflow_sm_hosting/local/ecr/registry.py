"""A container registry: the OCI distribution API over blobs on disk and manifests in moto's ECR.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md, with what Amazon ECR adds: repositories exist
before the first push, tags can be immutable, the login is ECR's.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from werkzeug.wrappers import Request, Response

from airflow_sm_hosting.local.moto_bridge import repositories
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID
from airflow_sm_hosting.local.moto_bridge.repositories import Image, Repository
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.refusals import REGISTRY, refusal_response

_CHUNK_BYTES = 1024 * 1024
# Amazon ECR's own limit: https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
_MAX_MANIFEST_BYTES = 4 * 1024 * 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_BLOB = re.compile(r"/v2/(?P<name>.+)/blobs/(?P<digest>sha256:[0-9a-f]+)")
_UPLOADS = re.compile(r"/v2/(?P<name>.+)/blobs/uploads/?")
_UPLOAD = re.compile(r"/v2/(?P<name>.+)/blobs/uploads/(?P<upload>[0-9a-f]{32})")
_MANIFEST = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/]+)")
_TAGS = re.compile(r"/v2/(?P<name>.+)/tags/list")
_IMAGE_REFERENCE = re.compile(
    r"(?P<host>[^/]+)/(?P<name>[^@]+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_ECR_HOST = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")


class RegistryRefusal(AwsError):
    """A refusal, in the words of the OCI distribution specification or of ECR."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message, status=status)


@dataclass(frozen=True)
class StoredImage:
    """An image that this registry has.

    :param repository: Name of the repository.
    :param digest: Digest of the manifest.
    :param media_type: Media type of the manifest.
    :param manifest: The manifest.
    """

    repository: str
    digest: str
    media_type: str
    manifest: dict[str, Any]


class Registry:
    """Blobs on disk, manifests in ECR, and the HTTP interface over both.

    :param folder: An existing folder that the blobs are kept in.
    :param region: The Region whose repositories are looked at first; then come the other Regions that were used.
    """

    def __init__(self, folder: Path, region: str) -> None:
        self._secret = secrets.token_bytes(32)
        # The service's own, with which endpoints pull.
        self.password = self.password_of("service")
        self.port = 0
        self._regions: dict[str, None] = {region: None}
        self._blobs = folder / "blobs"
        self._uploads = folder / "uploads"
        for subfolder in (self._blobs, self._uploads):
            subfolder.mkdir(exist_ok=True)
        # What a server left that ended in the middle of it.
        for path in self._uploads.iterdir():
            path.unlink()
        self._hosts: set[str] = set()
        # Two tags put at once would both take the same tag off the image before.
        self._lock = threading.Lock()

    @property
    def host(self) -> str:
        """Host and port, as image names begin with it."""
        return f"127.0.0.1:{self.port}"

    def know_region(self, region: str) -> None:
        """Look for repositories in this Region, too."""
        self._regions.setdefault(region, None)

    # What is kept over a restart, beside the blobs

    def dump(self) -> dict[str, Any]:
        """Return all that is kept."""
        return {
            "regions": list(self._regions),
            "hosts": sorted({*self._hosts, self.host}),
            "password": self.password,
        }

    def load(self, kept: dict[str, Any]) -> None:
        """Have again what was kept; images are also known by the names of ports before."""
        for region in kept["regions"]:
            self.know_region(region)
        self._hosts.update(kept["hosts"])
        self.password = kept["password"]

    def clear(self) -> None:
        """Forget all blobs and unfinished uploads."""
        for folder in (self._blobs, self._uploads):
            for path in folder.iterdir():
                path.unlink(missing_ok=True)

    # What the rest of the server asks

    def password_of(self, access_key: str) -> str:
        """Return the password under which who has this access key logs in: an authorization token is the caller's own."""
        signature = hmac.digest(self._secret, access_key.encode(), "sha256").hex()
        return f"{access_key}.{signature}"

    def login_key(self, request: Request) -> str | None:
        """Return the access key under which a request has logged in, or None."""
        login = request.authorization
        if not login or login.type != "basic" or login.username != "AWS":
            return None
        access_key = (login.password or "").partition(".")[0]
        right = hmac.compare_digest((login.password or "").encode(), self.password_of(access_key).encode())
        return access_key if right else None

    def repository(self, name: str, region: str | None = None) -> Repository | None:
        """Return moto's ECR repository of that name."""
        return repositories.find_repository(name, [region] if region else list(self._regions))

    def is_ours(self, reference: str) -> bool:
        """Tell whether an image reference names this registry, by its port or by the account's ECR host."""
        match = _IMAGE_REFERENCE.fullmatch(reference)
        if not match:
            return False
        if match["host"] in (self.host, f"localhost:{self.port}", *self._hosts):
            return True
        ecr_host = _ECR_HOST.fullmatch(match["host"])
        return ecr_host is not None and ecr_host["account"] == ACCOUNT_ID

    def find(self, reference: str) -> StoredImage | None:
        """Return the image that a reference to this registry names, or None where it does not exist."""
        match = _IMAGE_REFERENCE.fullmatch(reference)
        if not match or not self.is_ours(reference):
            return None
        ecr_host = _ECR_HOST.fullmatch(match["host"])
        repository = self.repository(match["name"], ecr_host["region"] if ecr_host else None)
        image = repository and _image(repository, match["digest"] or match["tag"] or "latest")
        return _stored(repository, image) if repository and image else None

    def blob_path(self, digest: str) -> Path:
        """Return where a blob is kept, whether or not it exists."""
        if not _DIGEST.fullmatch(digest):
            raise RegistryRefusal(400, "DIGEST_INVALID", f"{digest} is not a sha256 digest")
        return self._blobs / digest.partition(":")[2]

    def has_blob(self, digest: str) -> bool:
        """Tell whether a blob exists."""
        return bool(_DIGEST.fullmatch(digest)) and self.blob_path(digest).exists()

    def blob_json(self, digest: str) -> Any:
        """Return a small JSON blob: an image's configuration."""
        return json.loads(self.blob_path(digest).read_bytes())

    def labels(self, image: StoredImage) -> Mapping[str, str] | None:
        """Return an image's labels, or None where they cannot be told: of an image of several platforms."""
        described = image.manifest.get("config", {}).get("digest", "")
        if not self.has_blob(described):
            return None
        return dict((self.blob_json(described).get("config") or {}).get("Labels") or {})

    def size(self, manifest: dict[str, Any]) -> int:
        """Return the size of an image as ECR counts it: its compressed layers."""
        return sum(int(layer.get("size", 0)) for layer in manifest.get("layers", ()))

    def put_manifest(
        self, repository: Repository, body: bytes, tag: str | None, media_type: str | None = None
    ) -> StoredImage:
        """Store a manifest, and move the tag to it.

        :raises RegistryRefusal: Not a manifest; a part of it was not pushed before; the tag is immutable.
        """
        try:
            manifest = json.loads(body)
            media_type = media_type or manifest["mediaType"]
        except (ValueError, KeyError, TypeError) as error:
            raise RegistryRefusal(
                400, "MANIFEST_INVALID", f"the manifest cannot be read: {error!r}"
            ) from error
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        with self._lock:
            self._check_parts(repository, manifest)
            image = _image(repository, digest)
            tagged = _image(repository, tag) if tag else None
            if tagged and tagged is not image and repository.is_tag_immutable():
                # https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
                raise RegistryRefusal(
                    400,
                    "TAG_INVALID",
                    f"The image tag '{tag}' already exists in the '{repository.name}' repository and cannot be "
                    "overwritten because the tag is immutable.",
                )
            if not image:
                image = repositories.add_image(repository, body.decode(), media_type, digest)
            if tag and tagged is not image:
                if tagged:
                    # The image before stays, untagged, and can still be pulled by its digest.
                    tagged.remove_tag(tag)
                image.update_tag(tag)
        return _stored(repository, image)

    def _check_parts(self, repository: Repository, manifest: dict[str, Any]) -> None:
        parts = [manifest["config"], *manifest.get("layers", ())] if "config" in manifest else []
        for part in parts:
            # Layers with URLs of their own (Windows base layers) are not pushed.
            if not self.has_blob(part["digest"]) and not part.get("urls"):
                raise RegistryRefusal(
                    404, "MANIFEST_BLOB_UNKNOWN", f"blob {part['digest']} was not pushed before the manifest"
                )
        for child in manifest.get("manifests", ()):
            if not _image(repository, child["digest"]):
                raise RegistryRefusal(
                    404, "MANIFEST_UNKNOWN", f"manifest {child['digest']} of the index is absent"
                )

    # The HTTP interface

    def answer(self, request: Request) -> Response:
        """Answer a request to ``/v2/…``."""
        if not self._is_login(request):
            response = refusal_response(
                request, REGISTRY, RegistryRefusal(401, "UNAUTHORIZED", "Not Authorized")
            )
            response.headers["WWW-Authenticate"] = 'Basic realm="sm-hosting local registry",service="ecr"'
            return response
        try:
            response = self._route(request)
        except RegistryRefusal as error:
            response = refusal_response(request, REGISTRY, error)
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        return response

    def _is_login(self, request: Request) -> bool:
        return self.login_key(request) is not None

    def _route(self, request: Request) -> Response:
        path, method = request.path, request.method
        if path in ("/v2", "/v2/"):
            return Response("{}", content_type="application/json")
        if match := _UPLOAD.fullmatch(path):
            return self._continue_upload(request, self._known(match["name"]), match["upload"])
        if (match := _UPLOADS.fullmatch(path)) and method == "POST":
            return self._start_upload(request, self._known(match["name"]))
        if match := _BLOB.fullmatch(path):
            self._known(match["name"])
            return self._blob(request, match["digest"])
        if match := _MANIFEST.fullmatch(path):
            return self._manifest(request, self._known(match["name"]), match["reference"])
        if match := _TAGS.fullmatch(path):
            repository = self._known(match["name"])
            tags = sorted(tag for image in repository.images for tag in image.image_tags)
            return _json({"name": repository.name, "tags": tags})
        raise RegistryRefusal(404, "UNSUPPORTED", f"{method} {path} is not an operation of this registry")

    def _known(self, name: str) -> Repository:
        repository = self.repository(name)
        if repository is None:
            # ECR's own words, as `docker push` shows them.
            raise RegistryRefusal(
                404,
                "NAME_UNKNOWN",
                f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT_ID}'",
            )
        return repository

    def _start_upload(self, request: Request, repository: Repository) -> Response:
        mount = request.args.get("mount")
        if mount and self.has_blob(mount):
            return self._created_blob(repository.name, mount)
        upload = secrets.token_hex(16)
        (self._uploads / upload).touch()
        if digest := request.args.get("digest"):
            self._append(upload, request.stream)
            return self._finish_upload(repository.name, upload, digest)
        return self._upload_state(repository.name, upload, 202)

    def _continue_upload(self, request: Request, repository: Repository, upload: str) -> Response:
        if not (self._uploads / upload).exists():
            raise RegistryRefusal(404, "BLOB_UPLOAD_UNKNOWN", f"upload {upload} is unknown or has ended")
        match request.method:
            case "GET":
                return self._upload_state(repository.name, upload, 204)
            case "PATCH":
                self._check_range(request, upload)
                self._append(upload, request.stream)
                return self._upload_state(repository.name, upload, 202)
            case "PUT":
                self._append(upload, request.stream)
                return self._finish_upload(repository.name, upload, request.args.get("digest", ""))
            case "DELETE":
                (self._uploads / upload).unlink()
                return Response(status=204)
        raise RegistryRefusal(405, "UNSUPPORTED", f"{request.method} is not an operation of an upload")

    def _check_range(self, request: Request, upload: str) -> None:
        # Chunks come in order (distribution-spec, "Pushing a blob in chunks").
        content_range = re.fullmatch(
            r"(?:bytes )?(\d+)-(\d+)(?:/.*)?", request.headers.get("Content-Range", "")
        )
        if content_range and int(content_range[1]) != (self._uploads / upload).stat().st_size:
            raise RegistryRefusal(
                416, "BLOB_UPLOAD_INVALID", "the chunk does not begin where the last one ended"
            )

    def _append(self, upload: str, stream: IO[bytes]) -> None:
        with (self._uploads / upload).open("ab") as file:
            while data := stream.read(_CHUNK_BYTES):
                file.write(data)

    def _finish_upload(self, name: str, upload: str, digest: str) -> Response:
        path = self._uploads / upload
        target = self.blob_path(digest)
        with path.open("rb") as file:
            found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        if found != digest:
            path.unlink()
            raise RegistryRefusal(400, "DIGEST_INVALID", f"the content has the digest {found}, not {digest}")
        path.replace(target)
        return self._created_blob(name, digest)

    def _created_blob(self, name: str, digest: str) -> Response:
        headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}
        return Response(status=201, headers=headers)

    def _upload_state(self, name: str, upload: str, status: int) -> Response:
        size = (self._uploads / upload).stat().st_size
        headers = {
            "Location": f"/v2/{name}/blobs/uploads/{upload}",
            "Docker-Upload-UUID": upload,
            "Range": f"0-{max(size - 1, 0)}",
        }
        return Response(status=status, headers=headers)

    def _blob(self, request: Request, digest: str) -> Response:
        if not self.has_blob(digest):
            raise RegistryRefusal(404, "BLOB_UNKNOWN", f"blob {digest} is unknown")
        path = self.blob_path(digest)
        headers = {
            "Docker-Content-Digest": digest,
            "Content-Length": str(path.stat().st_size),
            "ETag": f'"{digest}"',
        }
        body = None if request.method == "HEAD" else _file_chunks(path)
        return Response(
            body, headers=headers, content_type="application/octet-stream", direct_passthrough=True
        )

    def _manifest(self, request: Request, repository: Repository, reference: str) -> Response:
        if request.method == "PUT":
            body = request.stream.read(_MAX_MANIFEST_BYTES + 1)
            if len(body) > _MAX_MANIFEST_BYTES:
                raise RegistryRefusal(413, "MANIFEST_INVALID", "the manifest is larger than 4 MiB")
            is_digest = bool(_DIGEST.fullmatch(reference))
            if is_digest and f"sha256:{hashlib.sha256(body).hexdigest()}" != reference:
                raise RegistryRefusal(
                    400, "DIGEST_INVALID", f"the manifest does not have the digest {reference}"
                )
            media_type = request.content_type
            stored = self.put_manifest(repository, body, None if is_digest else reference, media_type)
            headers = {
                "Location": f"/v2/{repository.name}/manifests/{stored.digest}",
                "Docker-Content-Digest": stored.digest,
            }
            return Response(status=201, headers=headers)
        image = _image(repository, reference)
        if image is None:
            raise RegistryRefusal(404, "MANIFEST_UNKNOWN", f"manifest {reference} is unknown")
        if request.method == "DELETE":
            # ECR refuses it, too: images are deleted through BatchDeleteImage.
            raise RegistryRefusal(405, "UNSUPPORTED", "use BatchDeleteImage of the ECR API")
        data = image.image_manifest.encode()
        headers = {"Docker-Content-Digest": image.image_digest, "Content-Length": str(len(data))}
        return Response(
            None if request.method == "HEAD" else data,
            headers=headers,
            content_type=image.image_manifest_media_type,
        )


def registry_operation(request: Request) -> tuple[str, str | None]:
    """Return what a request asks for, and of which repository, for the request log."""
    path, method = request.path, request.method
    for pattern, names in (
        (_UPLOAD, {"PATCH": "UploadBlobChunk", "PUT": "CompleteBlobUpload", "GET": "GetBlobUpload"}),
        (_UPLOADS, {"POST": "StartBlobUpload"}),
        (_BLOB, {"GET": "GetBlob", "HEAD": "HeadBlob"}),
        (_MANIFEST, {"GET": "GetManifest", "HEAD": "HeadManifest", "PUT": "PutManifest"}),
        (_TAGS, {"GET": "ListTags"}),
    ):
        if match := pattern.fullmatch(path):
            return names.get(method, f"{method} {path.split('/')[1]}"), match["name"]
    return f"{method} {path}", None


def _image(repository: Repository, reference: str) -> Image | None:
    """Return the image of a tag or digest."""
    return next(
        (i for i in repository.images if reference == i.image_digest or reference in i.image_tags), None
    )


def _stored(repository: Repository, image: Image) -> StoredImage:
    return StoredImage(
        repository.name,
        image.image_digest,
        image.image_manifest_media_type or "",
        json.loads(image.image_manifest),
    )


def _file_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(_CHUNK_BYTES):
            yield data


def _json(body: Any, *, status: int = 200) -> Response:
    return Response(json.dumps(body), status=status, content_type="application/json")
