"""The parts of a reference to an image or to model data: repository, tag, digest, registry, Region, bucket and key.

The same checks hold for literals, while the DAG file is parsed, and for rendered values, in ``execute`` before the first AWS call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from airflow_sm_hosting.spec.checks import Problems, check_text, invalid, is_rendered_later
from airflow_sm_hosting.spec.reference import Reference, kind_of
from airflow_sm_hosting.spec.rendered import as_string, is_absent

#: botocore, ecr RepositoryName, ImageTag; the digest as ECR documents it (BatchGetImage, imageDigest).
REPOSITORY_PATTERN = r"(?:[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*/)*[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
TAG_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
DIGEST_PATTERN = r"sha256:[0-9a-f]{64}"
#: An image URI of a private registry of ECR (Amazon ECR user guide, "Amazon ECR private registry" and "IPv6").
REGISTRY_HOST = r"(?:https?://)?\d{12}\.dkr[.-]ecr(?:-fips)?\.[a-z0-9.-]+(?:/(?P<name>[^:@]*)(?:[:@].*)?)?"
BUCKET_PATTERN = r"[a-zA-Z0-9.\-_]{3,255}|arn:aws[a-z\-]*:s3[a-z\-]*:.+"
REGION_PATTERN = r"[a-z]{2,}(-[a-z]+)+-\d+"
#: botocore, sagemaker ArnOrName and ModelPackageArn: the group's part of an ARN ends with its name, a version's with group and number.
_PACKAGE_NAME = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
_PACKAGE_ARN = r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]+:\d{12}:model-package"
PACKAGE_GROUP_PATTERN = rf"({_PACKAGE_ARN}-group/)?{_PACKAGE_NAME}"
PACKAGE_VERSION_PATTERN = rf"({_PACKAGE_ARN}/)?{_PACKAGE_NAME}/[1-9]\d*"

_compiled = cache(re.compile)


def check_repository(where: str, value: Any) -> None:
    """Check the name of an ECR repository. A host of ECR fits the pattern, as names have dots, and would become a part of the name."""
    if isinstance(value, str) and not is_rendered_later(value) and "ecr" in value:
        with_host = _compiled(REGISTRY_HOST).fullmatch(value)
        if with_host:
            raise invalid(
                where,
                value,
                f"the repository's name alone, {with_host['name']!r}, without the registry's host"
                if with_host["name"]
                else "a repository's name, not the host of the registry",
            )
    check_text(
        where,
        value,
        pattern=REPOSITORY_PATTERN,
        max_length=256,
        allowed="an ECR repository name in lower case, without registry host and tag",
    )


_TAG_IN_WORDS = "an image tag of 1 to 128 letters, digits, '.', '_' and '-'"


def check_image_tag(where: str, value: Any) -> None:
    """Check the tag of an image."""
    check_text(where, value, pattern=TAG_PATTERN, allowed=_TAG_IN_WORDS)


def check_tag_or_digest(where: str, value: Any) -> None:
    """Check the tag of an image that could be given by digest, too."""
    check_text(where, value, pattern=TAG_PATTERN, allowed=f"{_TAG_IN_WORDS}; give a digest as digest=")


def check_image_digest(where: str, value: Any) -> None:
    """Check the digest of an image."""
    check_text(where, value, pattern=DIGEST_PATTERN, allowed="'sha256:' and 64 lower-case hex digits")


def check_account(where: str, value: Any) -> None:
    """Check the account of a registry."""
    check_text(where, value, pattern=r"\d{12}", allowed="an account of 12 digits, as a string")


def check_region(where: str, value: Any) -> None:
    """Check the form of a Region's name."""
    check_text(where, value, pattern=REGION_PATTERN, allowed="a Region name, e.g. 'eu-west-1'")


def check_bucket(where: str, value: Any) -> None:
    """Check the name of a bucket."""
    check_text(where, value, pattern=BUCKET_PATTERN, allowed="a bucket name")


def check_bucket_of_url(where: str, value: Any) -> None:
    """Check the bucket of a URL, as botocore does before each call to S3 (botocore.handlers, VALID_BUCKET and _VALID_S3_ARN)."""
    check_text(where, value, pattern=r"[a-zA-Z0-9.\-_]{1,255}|arn:.+", allowed="a bucket name")


def check_object_key(where: str, value: Any) -> None:
    """Check the key of an object."""
    wrong = not isinstance(value, str) or not value or value[0] == "/" or value[-1] == "/"
    if wrong and not is_rendered_later(value):
        raise invalid(
            where,
            value,
            "an object key without a leading '/'; use ModelData.from_prefix(…) for a prefix that ends with "
            "'/'",
        )


def check_prefix(where: str, value: Any) -> None:
    """Check the prefix of objects."""
    if not is_rendered_later(value) and not isinstance(value, str):
        raise invalid(where, value, "a string")


def check_package_group(where: str, value: Any) -> None:
    """Check the name or the ARN of a model package group."""
    check_text(
        where,
        value,
        pattern=PACKAGE_GROUP_PATTERN,
        allowed="the name of a model package group, or its ARN if it is of another account, "
        "'arn:<partition>:sagemaker:<region>:<account>:model-package-group/<name>'",
    )


def check_package_version(where: str, value: Any) -> None:
    """Check the ARN of a version of a model package group, or ``<group>/<version>``."""
    check_text(
        where,
        value,
        pattern=PACKAGE_VERSION_PATTERN,
        allowed="a version's ARN, 'arn:<partition>:sagemaker:<region>:<account>:model-package/<group>/<version>', or '<group>/<version>'",
    )


#: The parts of each kind of reference: the member, the parameter that it comes from, and its check.
_PARTS: Mapping[str, tuple[tuple[str, str, Callable[[str, Any], None]], ...]] = {
    "EcrImage": (
        ("RepositoryName", "repository_name", check_repository),
        ("Tag", "tag", check_tag_or_digest),
        ("Digest", "digest", check_image_digest),
        ("RegistryId", "registry_id", check_account),
        ("RegionName", "region_name", check_region),
    ),
    "DlcImage": (
        ("RepositoryName", "repository_name", check_repository),
        ("Tag", "tag", check_image_tag),
        ("AccountId", "account_id", check_account),
    ),
    "S3Object": (
        ("Bucket", "bucket_name", check_bucket),
        ("Key", "object_key", check_object_key),
    ),
    "S3Prefix": (
        ("Bucket", "bucket_name", check_bucket),
        ("Prefix", "prefix", check_prefix),
    ),
    "LatestApprovedPackage": (("Group", "group", check_package_group),),
    "PackageVersion": (("Arn", "arn", check_package_version),),
    "PackageOfEvent": (
        ("Arn", "arn", check_package_version),
        ("Group", "group", check_package_group),
    ),
}
#: The references to model packages.
PACKAGE_KINDS = ("LatestApprovedPackage", "PackageVersion", "PackageOfEvent")
#: Parts that a reference may lack.
_OPTIONAL = ("Digest", "RegistryId", "RegionName", "AccountId", "Group of PackageOfEvent")
#: Parts that have a default, which a rendered None stands for. A digest has none: a tag that nobody gave would be used instead of it.
_HAVE_DEFAULTS = (
    *("RegistryId", "RegionName", "AccountId", "Prefix"),
    *("Arn of PackageOfEvent", "Group of PackageOfEvent"),
)
_ACCOUNTS = ("RegistryId", "AccountId")
_CONSTRUCTORS = {
    "EcrImage": "ContainerImage.from_ecr_repository",
    "DlcImage": "ContainerImage.from_dlc",
    "S3Object": "ModelData.from_bucket",
    "S3Prefix": "ModelData.from_prefix",
    "LatestApprovedPackage": "ModelPackage.latest_approved",
    "PackageVersion": "ModelPackage.version",
    "PackageOfEvent": "ModelPackage.from_event",
}


def checked_reference(reference: Reference) -> Reference:
    """Return a reference of literals, checked.

    :raises InvalidSpecError: When a literal part can never work.
    """
    kind, problems = str(kind_of(reference)), Problems()
    for member, parameter, check in _PARTS[kind]:
        is_optional = _is_among(_OPTIONAL, kind, member) or (member == "Tag" and "Digest" in reference)
        if member in reference or not is_optional:
            with problems:
                check(f"{_CONSTRUCTORS[kind]}: {parameter}", reference.get(member))
    problems.tell()
    return reference


def _is_among(members: tuple[str, ...], kind: str, member: str) -> bool:
    """Return whether a table has a member of a kind of reference, or of all kinds."""
    return member in members or f"{member} of {kind}" in members


def rendered_reference(where: str, value: Any) -> Any:
    """Return a rendered reference with its parts checked; a part that rendered to nothing is left out if it has a default.

    :param where: The field, for messages.
    :param value: A reference; other values are returned unchanged.
    :raises InvalidSpecError: For a part that can never work; the message names it.
    """
    kind = kind_of(value)
    if kind is None or kind not in _PARTS:
        return value
    parts, problems = dict(value), Problems()
    for member, parameter, check in _PARTS[kind]:
        if member not in parts:
            continue
        field, part = f"{where}, {_CONSTRUCTORS[kind]}: {parameter}", parts[member]
        if is_absent(part) and _is_among(_HAVE_DEFAULTS, kind, member):
            del parts[member]
            continue
        # Native rendering makes a number of an account's digits. None is lost: Python has no literal that begins with 0.
        parts[member] = str(part) if member in _ACCOUNTS and type(part) is int else part
        with problems:
            check(field, as_string(field, parts[member]) if is_absent(part) else parts[member])
    problems.tell()
    return parts
