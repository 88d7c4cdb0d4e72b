"""Resolve references before names are derived from content: tags to digests, S3 objects to versions, role names to ARNs."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_sm_hosting.exceptions import InvalidSpecError, NotFoundError
from airflow_sm_hosting.spec.checks import invalid
from airflow_sm_hosting.spec.dlc import dlc_account
from airflow_sm_hosting.spec.model import ASSET_OPERATORS
from airflow_sm_hosting.spec.partitions import DNS_SUFFIX
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.rendered import as_string
from airflow_sm_hosting.spec.s3_location import S3Location, s3_url

if TYPE_CHECKING:
    from airflow_sm_hosting.deployer.model_packages import PackageResolver
    from airflow_sm_hosting.hooks.ecr import EcrRepositoryHook
    from airflow_sm_hosting.hooks.s3 import ModelDataHook

log = logging.getLogger(__name__)

#: Amazon ECR user guide, "Amazon ECR private registry" and "IPv6": <account>.dkr.ecr.<region>.<suffix>; FIPS and dual-stack hosts too.
ECR_HOST = re.compile(
    r"(?P<account>\d{12})\.(dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+)\."
    + DNS_SUFFIX
    + r"|dkr-ecr(-fips)?\.(?P<dual_stack_region>[a-z0-9-]+)\.on\.(aws|amazonwebservices\.com\.cn))"
)
LOOPBACK_HOST = re.compile(r"(127(\.\d+){3}|localhost|\[::1\]):(?P<port>\d+)")

#: Keys that UploadModelDataOperator makes: they contain the digest of the content, so no call is needed to get it.
CONTENT_KEY = re.compile(r"(?:^|/)[0-9a-f]{64}\.tar\.gz$")


@dataclass(frozen=True)
class ImageName:
    """The parts of an image URI: ``host/repository:tag@digest``."""

    host: str
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, uri: str) -> ImageName:
        """Parse an image URI; the host is empty if the URI has none."""
        name, _, digest = uri.partition("@")
        host, slash, repository = name.partition("/")
        if not slash or not ("." in host or ":" in host or host == "localhost"):
            host, repository = "", name
        repository, _, tag = repository.partition(":")
        return cls(host, repository, tag or None, digest or None)


class ReferenceResolver:
    """Resolves the references of containers under one AWS connection.

    :param ecr: Makes the hook of a Region's registries; None is the connection's own Region.
    :param s3: Makes the hook of the buckets.
    :param region: Returns the Region of the model.
    :param packages: Resolves model packages (default: they stay as they are).
    """

    def __init__(
        self,
        *,
        ecr: Callable[[str | None], EcrRepositoryHook],
        s3: Callable[[], ModelDataHook],
        region: Callable[[], str],
        packages: PackageResolver | None = None,
    ) -> None:
        self._ecr = ecr
        self._s3 = s3
        self._region = region
        self._packages = packages

    def container(self, container: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a rendered container with resolved references, and the versions that are part of its content but not of the request."""
        completed = dict(container)
        if completed.get("Image") is not None:
            completed["Image"] = self.image(completed["Image"])
        completed, resolved = self._with_model_data(completed)
        if completed.get("ModelPackageName") is not None and self._packages is not None:
            completed["ModelPackageName"], resolved = self._packages.resolve(
                "model_package", completed["ModelPackageName"], completed.get("InferenceSpecificationName")
            )
        if additional := completed.get("AdditionalModelDataSources"):
            sources, contents = zip(*map(self._source, additional), strict=True)
            completed["AdditionalModelDataSources"] = list(sources)
            if any(contents):
                resolved = {**resolved, "Additional": list(contents)}
        return completed, resolved

    def _with_model_data(self, container: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        completed = dict(container)
        if completed.get("ModelDataSource") is not None:
            completed["ModelDataSource"], content = self._source(completed["ModelDataSource"])
            return completed, content
        if completed.get("ModelDataUrl") is None:
            return completed, {}
        given = completed.pop("ModelDataUrl")
        if completed.get("Mode") == "MultiModel":
            # Archives below the prefix are added and deleted while the endpoint serves, so they are no content of the model
            # (https://docs.aws.amazon.com/sagemaker/latest/dg/add-models-to-endpoint.html).
            return {**completed, "ModelDataUrl": self._url(given)}, {}
        members, content = self.model_data(given)
        return completed | members, content

    def component(self, container: Mapping[str, Any]) -> dict[str, Any]:
        """Return image and artifact of an inference component's rendered container, as far as it has them.

        An artifact that is overwritten cannot be noticed: SageMaker describes its URL, and not its version.
        """
        completed: dict[str, Any] = {}
        if container.get("Image") is not None:
            completed["Image"] = self.image(container["Image"])
        if container.get("ArtifactUrl") is not None:
            completed["ArtifactUrl"] = self._url(container["ArtifactUrl"])
            location = S3Location.parse(completed["ArtifactUrl"])
            if location is None or not CONTENT_KEY.search(location.key):
                log.warning(
                    "Artifact %s is not named by its content; if it is overwritten, this is not noticed.",
                    completed["ArtifactUrl"],
                )
        return completed

    def image(self, image: Any) -> str:
        """Return an image's URI, pinned by digest if the image is in ECR.

        :raises NotFoundError: When ECR has no such image.
        """
        match kind_of(image):
            case None if isinstance(image, str):
                return self._pinned(as_string("Image", image))
            case "EcrImage":
                return self._ecr_image(image)
            case "DlcImage":
                account = image.get("AccountId") or dlc_account(self._region())
                host = f"{account}.dkr.ecr.{self._region()}.{self._ecr(None).conn_dns_suffix}"
                return self._pinned(f"{host}/{image['RepositoryName']}:{image['Tag']}")
            case kind if kind in ASSET_OPERATORS:
                raise InvalidSpecError(
                    f"Image is a from_asset(…), which must be built by {ASSET_OPERATORS[kind]}."
                )
            case _:
                raise invalid("Image", image, "an image URI, or a ContainerImage")

    def model_data(self, model_data: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the members with the location of model data, and the version of its content."""
        url = self._url(model_data)
        if url.endswith("/"):
            source = {"S3Uri": url, "S3DataType": "S3Prefix", "CompressionType": "None"}
            return {"ModelDataSource": {"S3DataSource": source}}, self._content(url)
        return {"ModelDataUrl": url}, self._content(url)

    def existing_model_data(self, model_data: Any) -> str:
        """Return the ``s3://`` URL of model data that exists, in the Region of the model.

        :raises InvalidSpecError: When it is not in S3, is in another Region, or is a prefix that cannot be laid out as files.
        :raises NotFoundError: When there is none.
        """
        url = self._url(model_data)
        location = S3Location.parse(url)
        if location is None:
            raise invalid("model_data", url, "a URL of S3")
        if url.endswith("/"):
            self._s3().listing_digest(*location)
        else:
            self._s3().object_version(*location)
        return url

    def _url(self, model_data: Any) -> str:
        """Return the ``s3://`` URL of model data; a URL outside S3 is returned unchanged."""
        match kind_of(model_data):
            case "S3Object":
                return f"s3://{model_data['Bucket']}/{model_data['Key']}"
            case "S3Prefix":
                prefix = str(model_data.get("Prefix") or "").strip("/")
                return f"s3://{model_data['Bucket']}/{prefix}/" if prefix else f"s3://{model_data['Bucket']}/"
            case None:
                return s3_url(as_string("ModelDataUrl", model_data))
            case kind:
                raise InvalidSpecError(
                    "ModelDataUrl is a from_asset(…), which must be uploaded by "
                    f"{ASSET_OPERATORS.get(kind, kind)}."
                )

    def _source(self, source: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a structure with its ``S3DataSource`` completed, and the version of its content."""
        place = source.get("S3DataSource") or {}
        if not place.get("S3Uri"):
            return source, {}
        url = s3_url(place["S3Uri"])
        return {**source, "S3DataSource": {**place, "S3Uri": url}}, self._content(url)

    def _content(self, url: str) -> dict[str, Any]:
        """Return the version of the content at a URL: an object's version, or the digest of a prefix's listing."""
        location = S3Location.parse(url)
        if location is None:
            log.warning(
                "Model data %s is not an S3 URL that can be parsed; if it is overwritten, this is not "
                "noticed.",
                url,
            )
            return {}
        if url.endswith("/"):
            return {"Listing": self._s3().listing_digest(*location)}
        return {} if CONTENT_KEY.search(location.key) else self._s3().object_version(*location)

    def _ecr_image(self, image: dict[str, Any]) -> str:
        hook = self._ecr(image.get("RegionName"))
        repository, registry = image["RepositoryName"], image.get("RegistryId")
        if registry:
            uri = f"{registry}.dkr.ecr.{hook.conn_region_name}.{hook.conn_dns_suffix}/{repository}"
        else:
            uri = hook.repository_uri(repository)
        self._warn_of_another_region(hook.conn_region_name, uri)
        if image.get("Digest"):
            return f"{uri}@{image['Digest']}"
        return self._with_digest(hook, uri, repository, image["Tag"], registry)

    def _pinned(self, uri: str) -> str:
        name = ImageName.parse(uri)
        ecr = ECR_HOST.fullmatch(name.host)
        region = (ecr["region"] or ecr["dual_stack_region"]) if ecr else None
        if region:
            self._warn_of_another_region(region, uri)
        if name.digest:
            return uri
        if not ecr and not self.is_local_registry(name.host):
            log.warning(
                "Image %s is not in ECR; its tag is sent unchanged, and a moved tag is not noticed.", uri
            )
            return uri
        return self._with_digest(
            self._ecr(region),
            f"{name.host}/{name.repository}",
            name.repository,
            name.tag or "latest",
            ecr["account"] if ecr else None,
        )

    def is_local_registry(self, host: str) -> bool:
        """Return whether a host is the registry of the local AWS behind the connection, which serves it on the same port."""
        loopback = LOOPBACK_HOST.fullmatch(host)
        if not loopback:
            return False
        endpoint: str = self._ecr(None).conn.meta.endpoint_url
        return urlsplit(endpoint).port == int(loopback["port"])

    def _warn_of_another_region(self, region: str, uri: str) -> None:
        own = self._region()
        if region != own:
            log.warning(
                "Image %s is in %s and the model in %s; according to SageMaker's documentation both must be "
                "in the same Region (ContainerDefinition).",
                uri,
                region,
                own,
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
