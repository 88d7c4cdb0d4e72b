"""The settings of image builds by AWS CodeBuild, which a task gives as ``codebuild=``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Required, TypedDict

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import (
    check_ids,
    check_kms_key,
    check_one_of,
    check_role,
    check_seconds,
    check_text,
    check_unique,
    is_rendered_later,
    nearest,
)
from airflow_sm_hosting.spec.reference_parts import check_bucket

if TYPE_CHECKING:
    from airflow_sm_hosting.spec.templated import TemplatedStr

#: botocore, codebuild: ProjectName.
PROJECT_NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9\-_]{1,149}"
#: botocore, codebuild: BuildTimeOut, in minutes.
SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 5 * 60, 2160 * 60
#: botocore, codebuild: EnvironmentVariableType, without PLAINTEXT: a secret in the request would be shown by BatchGetBuilds.
SECRET_TYPES = ("SECRETS_MANAGER", "PARAMETER_STORE")
#: The folder of the bucket that build contexts are uploaded to.
KEY_PREFIX = "sm-hosting-builds"

REQUIRED = ("service_role", "bucket_name")


class BuildSecret(TypedDict):
    """A secret of a build, in the shape of CodeBuild's EnvironmentVariable; CodeBuild reads it, not this package.

    The Dockerfile reads it with ``RUN --mount=type=secret,id=<name>``.
    """

    name: TemplatedStr
    type: TemplatedStr
    value: TemplatedStr


class BuildVpc(TypedDict):
    """The network of a build, in the shape of CodeBuild's VpcConfig."""

    vpcId: TemplatedStr
    subnets: Sequence[TemplatedStr]
    securityGroupIds: Sequence[TemplatedStr]


class CodeBuildSettings(TypedDict, total=False):
    """The settings of ``BuildImageOperator(builder="codebuild", codebuild={…})``.

    ``service_role``: the role that builds run under, by name or ARN. ``bucket_name``: the bucket for build contexts. ``key_prefix``:
    a folder of the bucket (default: ``sm-hosting-builds``). ``project_name``: the CodeBuild project (default: ``sm-hosting-amd64`` or
    ``sm-hosting-arm64``). ``compute_type`` (default: ``BUILD_GENERAL1_MEDIUM``) and ``image`` (default: AWS's Amazon Linux 2023) of
    the build's own container. ``timeout``: of a build, 5 minutes to 36 hours (default: 1 hour). ``vpc_config``: its network.
    ``kms_key_id``: the key that encrypts build contexts. ``secrets``: for ``RUN --mount=type=secret``.
    """

    service_role: Required[TemplatedStr]
    bucket_name: Required[TemplatedStr]
    key_prefix: TemplatedStr
    project_name: TemplatedStr
    compute_type: TemplatedStr
    image: TemplatedStr
    timeout: float | timedelta | TemplatedStr
    vpc_config: BuildVpc
    kms_key_id: TemplatedStr
    secrets: Sequence[BuildSecret]


def check_codebuild(where: str, settings: Mapping[str, Any]) -> None:
    """Check the literal ones of the settings.

    :raises InvalidSpecError: A setting is unknown, missing or can never work.
    """
    known = CodeBuildSettings.__annotations__
    for name in settings:
        if name not in known:
            near = nearest(str(name), known, 1)
            raise InvalidSpecError(
                f"{where} has {name!r}; allowed: {', '.join(known)}."
                + (f" Did you mean {near[0]!r}?" if near else "")
            )
    if missing := [name for name in REQUIRED if settings.get(name) is None]:
        raise InvalidSpecError(f"{where} lacks {' and '.join(missing)}, which a build by CodeBuild needs.")
    check_role(f"{where}[service_role]", settings["service_role"])
    check_bucket(f"{where}[bucket_name]", settings["bucket_name"])
    check_kms_key(f"{where}[kms_key_id]", settings.get("kms_key_id"))
    if (project := settings.get("project_name")) is not None:
        allowed = "a project name of 2 to 150 letters, digits, hyphens and underscores"
        check_text(f"{where}[project_name]", project, pattern=PROJECT_NAME_PATTERN, allowed=allowed)
    if (seconds := settings.get("timeout")) is not None:
        check_seconds(f"{where}[timeout]", seconds, SHORTEST_TIMEOUT, LONGEST_TIMEOUT)
    for text in ("key_prefix", "compute_type", "image"):
        if (value := settings.get(text)) is not None:
            check_text(f"{where}[{text}]", value, pattern=r"(?s).+", allowed="a string")
    if (vpc := settings.get("vpc_config")) is not None:
        _check_vpc(f"{where}[vpc_config]", vpc)
    if (secrets := settings.get("secrets")) is not None:
        _check_secrets(f"{where}[secrets]", secrets)


def _check_vpc(where: str, vpc: Any) -> None:
    if is_rendered_later(vpc):
        return
    if not isinstance(vpc, dict) or set(vpc) != {"vpcId", "subnets", "securityGroupIds"}:
        raise InvalidSpecError(f"{where}: allowed: a dict with vpcId, subnets and securityGroupIds.")
    # botocore, codebuild: VpcConfig
    check_ids(f"{where}[subnets]", vpc["subnets"], 16)
    check_ids(f"{where}[securityGroupIds]", vpc["securityGroupIds"], 5)


def _check_secrets(where: str, secrets: Any) -> None:
    if is_rendered_later(secrets):
        return
    if not isinstance(secrets, list | tuple):
        raise InvalidSpecError(f"{where} is a {type(secrets).__name__}; allowed: a list of dicts.")
    for index, secret in enumerate(secrets):
        if not isinstance(secret, dict) or set(secret) != {"name", "type", "value"}:
            raise InvalidSpecError(f"{where}[{index}]: allowed: a dict with name, type and value.")
        check_one_of(f"{where}[{index}][type]", secret["type"], SECRET_TYPES)
        # It is the id of ``docker build --secret id=…,env=…``, whose parts are separated by commas.
        check_text(
            f"{where}[{index}][name]",
            secret["name"],
            pattern=r"[A-Za-z0-9_.\-]+",
            allowed="letters, digits and _ . -",
        )
    check_unique(where, [secret["name"] for secret in secrets])
