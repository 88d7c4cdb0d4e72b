"""The CodeBuild project of image builds: its definition, and how an existing one differs from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_hosting.exceptions import ConflictError
from airflow_sm_hosting.spec.codebuild import KEY_PREFIX
from airflow_sm_hosting.spec.tags import MANAGED_BY, PACKAGE

DEFAULT_COMPUTE_TYPE = "BUILD_GENERAL1_MEDIUM"
DEFAULT_TIMEOUT = 3600.0

#: CodeBuild user guide, "ec2-compute-images": images of Amazon Linux 2023, and the types of environment that they run in. They have Docker
#: 27 and buildx (aws/aws-codebuild-docker-images#784).
ENVIRONMENTS = {
    "linux/amd64": ("LINUX_CONTAINER", "aws/codebuild/amazonlinux-x86_64-standard:5.0"),
    "linux/arm64": ("ARM_CONTAINER", "aws/codebuild/amazonlinux-aarch64-standard:3.0"),
}

#: The project by itself builds nothing: each build brings its own buildspec.
NO_BUILDSPEC = '{"version": 0.2, "phases": {"build": {"commands": ["exit 1"]}}}'


@dataclass(frozen=True)
class BuildPlace:
    """Where and how CodeBuild builds; what a task gives as ``codebuild=``, complete.

    :param service_role_arn: the role that builds run under
    :param bucket: the bucket for build contexts
    :param platform: of the image: the container that builds it has the same one
    :param key_prefix: the folder of the bucket
    :param project_name: the project (default: by the platform)
    :param compute_type: of the build's container
    :param image: of the build's container (default: by the platform)
    :param timeout: of a build, in seconds
    :param vpc_config: its network, in the shape of the request
    :param kms_key_id: the key that encrypts build contexts
    :param secrets: of builds, as environment variables in the shape of the request
    """

    service_role_arn: str
    bucket: str
    platform: str
    key_prefix: str = KEY_PREFIX
    project_name: str = ""
    compute_type: str = DEFAULT_COMPUTE_TYPE
    image: str = ""
    timeout: float = DEFAULT_TIMEOUT
    vpc_config: Mapping[str, Any] | None = None
    kms_key_id: str | None = None
    secrets: tuple[Mapping[str, str], ...] = ()

    @property
    def project(self) -> str:
        """The name of the project; another platform has another one, as a project has one type of environment."""
        return self.project_name or f"sm-hosting-{self.platform.partition('/')[2]}"


def minutes(seconds: float) -> int:
    """Return seconds as whole minutes, rounded up."""
    return math.ceil(seconds / 60)


def project_definition(place: BuildPlace) -> dict[str, Any]:
    """Return the project, in the shape of CreateProject and UpdateProject, without its tags."""
    kind, image = ENVIRONMENTS[place.platform]
    definition: dict[str, Any] = {
        "name": place.project,
        "description": "Builds images for SageMaker hosting",
        # The context is no source of CodeBuild: it unpacks zip files only, without links and executable bits (assumed).
        "source": {"type": "NO_SOURCE", "buildspec": NO_BUILDSPEC},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {
            "type": kind,
            "image": place.image or image,
            "computeType": place.compute_type,
            # https://docs.aws.amazon.com/codebuild/latest/userguide/sample-docker.html: a Docker daemon needs it.
            "privilegedMode": True,
        },
        "serviceRole": place.service_role_arn,
        "timeoutInMinutes": minutes(place.timeout),
        "logsConfig": {"cloudWatchLogs": {"status": "ENABLED"}},
    }
    if place.vpc_config:
        definition["vpcConfig"] = dict(place.vpc_config)
    return definition


def is_ours(project: Mapping[str, Any]) -> bool:
    """Return whether the package made a project."""
    return any(
        (tag["key"], tag["value"]) == (MANAGED_BY, PACKAGE) for tag in project.get("tags") or () if tag
    )


def differing(project: Mapping[str, Any], definition: Mapping[str, Any]) -> list[str]:
    """Return the members in which a project differs from a definition; what the definition does not give is left as it is."""
    return [name for name, value in definition.items() if not _holds(project.get(name), value)]


def check_foreign(project: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
    """Check that a project that somebody else made can build the image: it is used as it is, and never changed.

    :raises ConflictError: It cannot.
    """
    found, wanted = project.get("environment") or {}, definition["environment"]
    for member, value in (("privilegedMode", True), ("type", wanted["type"])):
        if found.get(member) != value:
            raise ConflictError(
                f"The CodeBuild project {definition['name']} was not made by this package, and its environment has {member}="
                f"{found.get(member)!r}; building this image needs {value!r}. Change the project, or give another project_name."
            )


def _holds(found: Any, wanted: Any) -> bool:
    """Return whether a value has all that is wanted; AWS adds defaults to what it was given."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            _holds(found.get(name), value) for name, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return isinstance(found, list | tuple) and sorted(map(str, found)) == sorted(map(str, wanted))
    return bool(found == wanted)
