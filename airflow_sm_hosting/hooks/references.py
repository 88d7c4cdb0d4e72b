"""Completing references: tags become digests, S3 objects their versions, role names ARNs, before anything is named by content."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_sm_hosting.exceptions import InvalidSpecError, NotFoundError
from airflow_sm_hosting.spec.dlc import dlc_account
from airflow_sm_hosting.spec.model import ASSET_OPERATORS
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.rules import as_string, invalid

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.ecr import EcrRepositoryHook
    from airflow_sm_hosting.hooks.s3 import ModelDataHook

log = logging.getLogger(__name__)

#: Amazon ECR user guide, "Private registry": <account>.dkr.ecr.<region>.<suffix>; FIPS and dual-stack hosts too.
ECR_HOST = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.(amazonaws\.com(\.cn)?|on\.aws|on\.amazonwebservices\.com\.cn|\S+)"
)
LOOPBACK_HOST = re.compile(r"(127(\.\d+){3}|localhost|\[::1\])(:\d+)?")

#: Keys that UploadModelDataOperator makes: the object's content is in its name, so it need not be asked for.
CONTENT_KEY = re.compile(r"(?:^|/)[0-9a-f]{64}\.tar\.gz$")

#: Amazon S3 user guide, "Methods for accessing a bucket": path style and virtual-hosted style.
S3_PATH_STYLE = re.compile(r"s3([.-][a-z0-9-]+)*\.amazonaws\.com(\.cn)?$")
S3_HOST_STYLE = re.compile(r"(?P<bucket>.+)\.s3([.-][a-z0-9-]+)*\.amazonaws\.com(\.cn)?$")


@dataclass(frozen=True)
class ImageName:
    """An image URI taken apart: ``host/repository:tag@digest``."""

    host: str
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, uri: str) -> ImageName:
        """Take an image URI apart; the host is empty where it names none."""
        name, _, digest = uri.partition("@")
        host, slash, repository = name.partition("/")
        if not slash or not ("." in host or ":" in host or host == "localhost"):
            host, repository = "", name
        repository, _, tag = repository.partition(":")
        return cls(host, repository, tag or None, digest or None)


class ReferenceResolver:
    """Completes the references of containers under one AWS connection.

    :param ecr: Makes the hook of a Region's registries; None is the connection's own Region.
    :param s3: Makes the hook of the buckets.
    """

    def __init__(
        self, *, ecr: Callable[[str | None], EcrRepositoryHook], s3: Callable[[], ModelDataHook]
    ) -> None:
        self._ecr = ecr
        self._s3 = s3

    def container(self, container: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a rendered container completed, and what its mutable references resolved to without being sent."""
        completed = dict(container)
        resolved: dict[str, Any] = {}
        if completed.get("Image") is not None:
            completed["Image"] = self.image(completed["Image"])
        if completed.get("ModelDataUrl") is not None:
            members, resolved = self.model_data(completed.pop("ModelDataUrl"))
            completed |= members
        else:
            resolved = self._source(completed.get("ModelDataSource"))
        additional = [self._source(source) for source in completed.get("AdditionalModelDataSources") or []]
        if any(additional):
            resolved = {**resolved, "Additional": additional}
        return completed, resolved

    def image(self, image: Any) -> str:
        """Return an image's URI, pinned by digest where it lies in ECR.

        :raises NotFoundError: When ECR has no such image.
        """
        match kind_of(image):
            case None if isinstance(image, str):
                return self._pinned(as_string("Image", image))
            case "EcrImage":
                return self._ecr_image(image)
            case "DlcImage":
                hook = self._ecr(None)
                region = hook.conn_region_name
                account = image.get("AccountId") or dlc_account(region)
                host = f"{account}.dkr.ecr.{region}.{hook.conn_dns_suffix}"
                return self._pinned(f"{host}/{image['RepositoryName']}:{image['Tag']}")
            case kind if kind in ASSET_OPERATORS:
                raise InvalidSpecError(f"Image is a from_asset(…), which {ASSET_OPERATORS[kind]} makes.")
            case _:
                raise invalid("Image", image, "an image URI, or a ContainerImage")

    def model_data(self, model_data: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the members that say where model data lies, and what tells its content from another."""
        match kind_of(model_data):
            case "S3Object":
                url = f"s3://{model_data['Bucket']}/{model_data['Key']}"
            case "S3Prefix":
                prefix = str(model_data["Prefix"] or "").strip("/")
                url = f"s3://{model_data['Bucket']}/{prefix}/" if prefix else f"s3://{model_data['Bucket']}/"
            case None:
                url = as_string("ModelDataUrl", model_data)
            case kind:
                raise InvalidSpecError(
                    f"ModelDataUrl is a from_asset(…), which {ASSET_OPERATORS.get(kind, kind)} makes."
                )
        if url.endswith("/"):
            source = {"S3Uri": url, "S3DataType": "S3Prefix", "CompressionType": "None"}
            return {"ModelDataSource": {"S3DataSource": source}}, self._content(url)
        return {"ModelDataUrl": url}, self._content(url)

    def _source(self, source: Any) -> dict[str, Any]:
        """Return what tells the content of a ``ModelDataSource`` of the AWS shape from another."""
        uri = ((source or {}).get("S3DataSource") or {}).get("S3Uri")
        return self._content(uri) if uri else {}

    def _content(self, url: str) -> dict[str, Any]:
        """Return the version of what lies at a URL: an object's, or the digest of a prefix's listing."""
        place = s3_place(url)
        if place is None:
            log.warning(
                "Model data %s is not an S3 URL that can be read; an overwrite of it goes unnoticed.", url
            )
            return {}
        if url.endswith("/"):
            return {"Listing": self._s3().listing_digest(*place)}
        return {} if CONTENT_KEY.search(place[1]) else self._s3().object_version(*place)

    def _ecr_image(self, image: dict[str, Any]) -> str:
        hook = self._ecr(image.get("RegionName"))
        repository, registry = image["RepositoryName"], image.get("RegistryId")
        if registry:
            uri = f"{registry}.dkr.ecr.{hook.conn_region_name}.{hook.conn_dns_suffix}/{repository}"
        else:
            uri = hook.repository_uri(repository)
        if image.get("Digest"):
            return f"{uri}@{image['Digest']}"
        return self._with_digest(hook, uri, repository, image["Tag"], registry)

    def _pinned(self, uri: str) -> str:
        name = ImageName.parse(uri)
        if name.digest:
            return uri
        ecr = ECR_HOST.fullmatch(name.host)
        if not ecr and not LOOPBACK_HOST.fullmatch(name.host):
            log.warning(
                "Image %s is not in ECR; its tag is sent as it is, and a moved tag goes unnoticed.", uri
            )
            return uri
        hook = self._ecr(ecr["region"] if ecr else None)
        return self._with_digest(
            hook,
            f"{name.host}/{name.repository}",
            name.repository,
            name.tag or "latest",
            ecr["account"] if ecr else None,
        )

    def _with_digest(
        self, hook: EcrRepositoryHook, uri: str, repository: str, tag: str, registry: str | None
    ) -> str:
        digest = hook.image_digest(repository, tag, registry_id=registry)
        if digest is None:
            raise NotFoundError(
                f"ECR has no image {repository}:{tag} in {hook.conn_region_name} (registry {registry or 'of this account'})."
            )
        log.info("Image %s:%s is %s", uri, tag, digest)
        return f"{uri}@{digest}"


def s3_place(url: str) -> tuple[str, str] | None:
    """Return bucket and key of an ``s3://`` or ``https://`` URL of S3; None for another URL."""
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return parts.netloc, url.partition("://")[2].partition("/")[2]
    path = unquote(parts.path).lstrip("/")
    host = parts.hostname or ""
    if S3_PATH_STYLE.fullmatch(host):
        bucket, _, key = path.partition("/")
        return bucket, key
    virtual = S3_HOST_STYLE.fullmatch(host)
    return (virtual["bucket"], path) if virtual else None
