"""The images of this server: blobs on disk, manifests in moto's ECR, and the logins to both."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request

from airflow_sm_hosting.local.moto_bridge import repositories
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID
from airflow_sm_hosting.local.moto_bridge.repositories import Image, Repository
from airflow_sm_hosting.local.wire.errors import AwsError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
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
    """Blobs on disk and manifests in ECR.

    :param folder: An existing folder that the blobs are kept in.
    :param region: The Region whose repositories are searched first; then the other Regions that were used.
    """

    def __init__(self, folder: Path, region: str) -> None:
        self._secret = secrets.token_bytes(32)
        # The service's own, with which endpoints pull.
        self.password = self.password_of("service")
        self.port = 0
        self._regions: dict[str, None] = {region: None}
        self._blobs = folder / "blobs"
        #: Where unfinished uploads are.
        self.uploads_folder = folder / "uploads"
        for subfolder in (self._blobs, self.uploads_folder):
            subfolder.mkdir(exist_ok=True)
        # What a server left that ended in the middle of it.
        for path in self.uploads_folder.iterdir():
            path.unlink()
        self._hosts: set[str] = set()
        # By the repository's ARN: a layer of one is not a layer of another (BatchCheckLayerAvailability), though it is stored once.
        self._layers: dict[str, set[str]] = {}
        # Two tags put at once would both take the same tag off the image before.
        self._lock = threading.Lock()

    @property
    def host(self) -> str:
        """Host and port, as image names begin with it."""
        return f"127.0.0.1:{self.port}"

    def know_region(self, region: str) -> None:
        """Search repositories in this Region, too."""
        self._regions.setdefault(region, None)

    # Saved state, beside the blobs

    def dump(self) -> dict[str, Any]:
        """Return what is saved."""
        return {
            "regions": list(self._regions),
            "hosts": sorted({*self._hosts, self.host}),
            "password": self.password,
            "layers": {arn: sorted(digests) for arn, digests in self._layers.items()},
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Restore saved state; images are also known by the names with former ports."""
        for region in saved["regions"]:
            self.know_region(region)
        self._hosts.update(saved["hosts"])
        self.password = saved["password"]
        # Absent in what an older version saved: its layers are pushed again.
        self._layers = {arn: set(digests) for arn, digests in saved.get("layers", {}).items()}

    def clear(self) -> None:
        """Forget all blobs and unfinished uploads."""
        self._layers.clear()
        for folder in (self._blobs, self.uploads_folder):
            for path in folder.iterdir():
                path.unlink(missing_ok=True)

    # What the rest of the server asks

    def password_of(self, access_key: str, region: str = "") -> str:
        """Return the password under which who has this access key logs in: an authorization token is the caller's own.

        It has the Region that it was asked for in, as a name of an image has none here: each Region has a registry (ECR user guide,
        "Private registry").
        """
        name = f"{access_key}@{region}" if region else access_key
        signature = hmac.digest(self._secret, name.encode(), "sha256").hex()
        return f"{name}.{signature}"

    def login_key(self, request: Request) -> str | None:
        """Return the access key under which a request has logged in, or None."""
        login = self._login(request)
        return login[0] if login else None

    def login_region(self, request: Request) -> str:
        """Return the Region for whose registry a request has logged in; empty if that is not known."""
        login = self._login(request)
        return login[1] if login else ""

    def _login(self, request: Request) -> tuple[str, str] | None:
        try:
            login = request.authorization
        except ValueError:
            # It is not Base64.
            return None
        if not login or login.type != "basic" or login.username != "AWS":
            return None
        access_key, _, region = (login.password or "").partition(".")[0].partition("@")
        password = self.password_of(access_key, region)
        right = hmac.compare_digest((login.password or "").encode(), password.encode())
        return (access_key, region) if right else None

    def repository(self, name: str, region: str | None = None) -> Repository | None:
        """Return moto's ECR repository of that name."""
        return repositories.find_repository(name, [region] if region else list(self._regions))

    def repositories(self, name: str, region: str = "") -> list[Repository]:
        """Return the repositories of that name in all Regions; that of a Region is the first."""
        regions = sorted(self._regions, key=lambda one: one != region)
        found = (repositories.find_repository(name, [one]) for one in regions)
        return [one for one in found if one]

    def is_ours(self, reference: str) -> bool:
        """Return whether an image reference names this registry, by its port or by the account's ECR host."""
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
        image_id = match["digest"] or match["tag"] or "latest"
        region = ecr_host["region"] if ecr_host else None
        only = [self.repository(match["name"], region)] if region else self.repositories(match["name"])
        found = ((one, self.image(one, image_id)) for one in only if one)
        return next((_stored(one, image) for one, image in found if image), None)

    def manifest_text(self, stored: StoredImage) -> str:
        """Return the manifest of an image, as it was pushed."""
        found = (self.image(one, stored.digest) for one in self.repositories(stored.repository))
        image = next(filter(None, found), None)
        return str(image.image_manifest) if image else json.dumps(stored.manifest)

    def image(self, repository: Repository, reference: str) -> Image | None:
        """Return the image of a tag or digest."""
        return next(
            (
                one
                for one in repository.images
                if reference == one.image_digest or reference in one.image_tags
            ),
            None,
        )

    def blob_path(self, digest: str) -> Path:
        """Return where a blob is kept, whether or not it exists."""
        if not _DIGEST.fullmatch(digest):
            raise RegistryRefusal(400, "DIGEST_INVALID", f"{digest} is not a sha256 digest")
        return self._blobs / digest.partition(":")[2]

    def has_blob(self, digest: str) -> bool:
        """Return whether a blob exists in any repository."""
        return bool(_DIGEST.fullmatch(digest)) and self.blob_path(digest).exists()

    def has_layer(self, repository: Repository, digest: str) -> bool:
        """Return whether a blob was pushed to a repository, or mounted there."""
        return digest in self._layers.get(repository.arn, ()) and self.has_blob(digest)

    def add_layer(self, repository: Repository, digest: str) -> None:
        """Record that a blob was pushed to a repository, or mounted there."""
        self._layers.setdefault(repository.arn, set()).add(digest)

    def blob_json(self, digest: str) -> Any:
        """Return a small JSON blob: an image's configuration."""
        return json.loads(self.blob_path(digest).read_bytes())

    def labels(self, image: StoredImage) -> Mapping[str, str] | None:
        """Return an image's labels, or None where they are unknown: of an image of several platforms."""
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
            text = body.decode()
            manifest = json.loads(text)
            _check_manifest(manifest)
            media_type = media_type or manifest["mediaType"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RegistryRefusal(
                400, "MANIFEST_INVALID", f"the manifest cannot be read ({type(error).__name__})"
            ) from error
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        with self._lock:
            self._check_parts(repository, manifest)
            image = self.image(repository, digest)
            tagged = self.image(repository, tag) if tag else None
            if tagged and tagged is not image and repository.is_tag_immutable():
                # https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
                raise RegistryRefusal(
                    400,
                    "TAG_INVALID",
                    f"The image tag '{tag}' already exists in the '{repository.name}' repository and cannot be "
                    "overwritten because the tag is immutable.",
                )
            if not image:
                image = repositories.add_image(repository, text, media_type, digest)
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
            if not self.has_layer(repository, part["digest"]) and not part.get("urls"):
                raise RegistryRefusal(
                    404, "MANIFEST_BLOB_UNKNOWN", f"blob {part['digest']} was not pushed before the manifest"
                )
        for child in manifest.get("manifests", ()):
            if not self.image(repository, child["digest"]):
                raise RegistryRefusal(
                    404, "MANIFEST_UNKNOWN", f"manifest {child['digest']} of the index does not exist"
                )


def _check_manifest(manifest: Any) -> None:
    """Check the types of what is read of a manifest.

    https://github.com/opencontainers/image-spec/blob/main/manifest.md, and image-index.md beside it.

    :raises TypeError: One is wrong.
    :raises KeyError: A part has no digest.
    """
    if not isinstance(manifest, dict) or not isinstance(manifest.get("mediaType", ""), str):
        raise TypeError
    lists = [manifest.get(name, []) for name in ("layers", "manifests")]
    if not all(isinstance(one, list) for one in lists):
        raise TypeError
    for part in [*lists[0], *lists[1], *([manifest["config"]] if "config" in manifest else [])]:
        if not isinstance(part, dict) or not isinstance(part["digest"], str):
            raise TypeError
        if not isinstance(part.get("size", 0), int) or not isinstance(part.get("mediaType", ""), str):
            raise TypeError


def _stored(repository: Repository, image: Image) -> StoredImage:
    return StoredImage(
        repository.name,
        image.image_digest,
        image.image_manifest_media_type or "",
        json.loads(image.image_manifest),
    )
