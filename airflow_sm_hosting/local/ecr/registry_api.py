"""The OCI distribution API of the registry, with which images are pushed and pulled.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md, with what Amazon ECR adds: repositories exist
before the first push, tags can be immutable, the login is ECR's.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from werkzeug.wrappers import Request, Response

from airflow_sm_hosting.local.ecr.registry import Registry, RegistryRefusal
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID
from airflow_sm_hosting.local.moto_bridge.repositories import Repository
from airflow_sm_hosting.local.wire.bodies import LAYER_BYTES, copy_body
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


class RegistryApi:
    """Answers requests to ``/v2/…``.

    :param registry: The images.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

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
        return self._registry.login_key(request) is not None

    def _route(self, request: Request) -> Response:
        path, method = request.path, request.method
        if path in ("/v2", "/v2/"):
            return Response("{}", content_type="application/json")
        if match := _UPLOAD.fullmatch(path):
            return self._continue_upload(request, self._known(request, match["name"])[0], match["upload"])
        if (match := _UPLOADS.fullmatch(path)) and method == "POST":
            return self._start_upload(request, self._known(request, match["name"])[0])
        if match := _BLOB.fullmatch(path):
            known, digest = self._known(request, match["name"]), match["digest"]
            # Which layers are to be pushed is asked of the Region's own registry.
            able = known if method == "GET" else known[:1]
            with_it = (one for one in able if self._registry.has_layer(one, digest))
            return self._blob(request, next(with_it, known[0]), digest)
        if match := _MANIFEST.fullmatch(path):
            known, reference = self._known(request, match["name"]), match["reference"]
            with_it = (one for one in known if method != "PUT" and self._registry.image(one, reference))
            return self._manifest(request, next(with_it, known[0]), reference)
        if match := _TAGS.fullmatch(path):
            repository = self._known(request, match["name"])[0]
            tags = sorted(tag for image in repository.images for tag in image.image_tags)
            return _json({"name": repository.name, "tags": tags})
        raise RegistryRefusal(404, "UNSUPPORTED", f"{method} {path} is not an operation of this registry")

    def _known(self, request: Request, name: str) -> list[Repository]:
        """Return the repositories of a name: that of the login's Region first, then those of others, as a host names no Region here."""
        found = self._registry.repositories(name, self._registry.login_region(request))
        if not found:
            # ECR's own words, as `docker push` shows them.
            raise RegistryRefusal(
                404,
                "NAME_UNKNOWN",
                f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT_ID}'",
            )
        return found

    def _start_upload(self, request: Request, repository: Repository) -> Response:
        mount, other = request.args.get("mount"), self._registry.repository(request.args.get("from", ""))
        if mount and other and self._registry.has_layer(other, mount):
            return self._created_blob(repository, mount)
        upload = secrets.token_hex(16)
        (self._registry.uploads_folder / upload).touch()
        if digest := request.args.get("digest"):
            self._append(upload, request.stream)
            return self._finish_upload(repository, upload, digest)
        return self._upload_state(repository.name, upload, 202)

    def _continue_upload(self, request: Request, repository: Repository, upload: str) -> Response:
        if not (self._registry.uploads_folder / upload).exists():
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
                return self._finish_upload(repository, upload, request.args.get("digest", ""))
            case "DELETE":
                (self._registry.uploads_folder / upload).unlink()
                return Response(status=204)
        raise RegistryRefusal(405, "UNSUPPORTED", f"{request.method} is not an operation of an upload")

    def _check_range(self, request: Request, upload: str) -> None:
        # Chunks come in order (distribution-spec, "Pushing a blob in chunks").
        content_range = re.fullmatch(
            r"(?:bytes )?(\d+)-(\d+)(?:/.*)?", request.headers.get("Content-Range", "")
        )
        if content_range and int(content_range[1]) != (self._registry.uploads_folder / upload).stat().st_size:
            raise RegistryRefusal(
                416, "BLOB_UPLOAD_INVALID", "the chunk does not begin where the last one ended"
            )

    def _append(self, upload: str, stream: IO[bytes]) -> None:
        with (self._registry.uploads_folder / upload).open("ab") as file:
            begin = file.tell()
            refusal = RegistryRefusal(413, "SIZE_INVALID", f"a layer may have at most {LAYER_BYTES} bytes")
            try:
                copy_body(stream, file, LAYER_BYTES - begin, refusal)
            except BaseException:
                # What came of a chunk that is not complete is sent again.
                file.truncate(begin)
                raise

    def _finish_upload(self, repository: Repository, upload: str, digest: str) -> Response:
        path = self._registry.uploads_folder / upload
        target = self._registry.blob_path(digest)
        with path.open("rb") as file:
            found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        if found != digest:
            path.unlink()
            raise RegistryRefusal(400, "DIGEST_INVALID", f"the content has the digest {found}, not {digest}")
        path.replace(target)
        return self._created_blob(repository, digest)

    def _created_blob(self, repository: Repository, digest: str) -> Response:
        self._registry.add_layer(repository, digest)
        headers = {"Location": f"/v2/{repository.name}/blobs/{digest}", "Docker-Content-Digest": digest}
        return Response(status=201, headers=headers)

    def _upload_state(self, name: str, upload: str, status: int) -> Response:
        size = (self._registry.uploads_folder / upload).stat().st_size
        headers = {
            "Location": f"/v2/{name}/blobs/uploads/{upload}",
            "Docker-Upload-UUID": upload,
            "Range": f"0-{max(size - 1, 0)}",
        }
        return Response(status=status, headers=headers)

    def _blob(self, request: Request, repository: Repository, digest: str) -> Response:
        if not self._registry.has_layer(repository, digest):
            raise RegistryRefusal(404, "BLOB_UNKNOWN", f"blob {digest} is unknown")
        path = self._registry.blob_path(digest)
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
            stored = self._registry.put_manifest(
                repository, body, None if is_digest else reference, media_type
            )
            headers = {
                "Location": f"/v2/{repository.name}/manifests/{stored.digest}",
                "Docker-Content-Digest": stored.digest,
            }
            return Response(status=201, headers=headers)
        image = self._registry.image(repository, reference)
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


def _file_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(_CHUNK_BYTES):
            yield data


def _json(body: Any, *, status: int = 200) -> Response:
    return Response(json.dumps(body), status=status, content_type="application/json")
