"""The ARNs in policies, from names, ARNs, image URIs and S3 URLs; malformed ones are refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import invalid
from airflow_sm_hosting.spec.dlc import dlc_account
from airflow_sm_hosting.spec.partitions import PARTITIONS, REGION, partition_of
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.reference_parts import REPOSITORY_PATTERN
from airflow_sm_hosting.spec.rendered import as_list
from airflow_sm_hosting.spec.s3_location import S3Location

ANY = "*"
ACCOUNT = r"\d{12}"
ARN = r"arn:(?P<partition>aws[a-z-]*|\*):(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9*-]*):(?P<account>\d{12}|aws|\*|):(?P<resource>.+)"
#: Amazon ECR user guide, "Private registry"; FIPS hosts too.
ECR_IMAGE = r"(?P<account>\d{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+/(?P<name>.+)"
#: The registry of a local AWS.
LOOPBACK_IMAGE = r"(127(\.\d+){3}|localhost)(:\d+)?/(?P<name>.+)"
BUCKET = r"[a-zA-Z0-9.\-_*?]{3,255}"
#: Names of SageMaker resources; ``*`` and ``?`` are IAM's wildcards.
NAME = r"[a-zA-Z0-9*?]([a-zA-Z0-9*?-]{0,61}[a-zA-Z0-9*?])?"
ROLE_NAME = r"(/?([\w+=,.@*?-]+/)*)[\w+=,.@*?-]{1,64}"
#: "up to 80 characters: alphanumeric characters, hyphens, and underscores", and ".fifo" (API_CreateQueue.html, QueueName).
QUEUE_NAME = r"[\w*?-]{1,80}(\.fifo)?"
KMS_KEY_ID = r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"


class Place(NamedTuple):
    """The Region, account and partition of resources given by name; ``*`` is any."""

    partition: str
    region: str
    account: str

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of a Region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def place(region_name: str = ANY, account_id: str = ANY, partition: str | None = None) -> Place:
    """Return a place; the partition follows from the Region.

    :raises InvalidSpecError: A part is malformed, or the partition is not the Region's.
    """
    if region_name != ANY and not (isinstance(region_name, str) and re.fullmatch(REGION, region_name)):
        raise invalid("region_name", region_name, "a Region such as 'eu-west-1', or '*'")
    if account_id != ANY and not (isinstance(account_id, str) and re.fullmatch(ACCOUNT, account_id)):
        raise invalid("account_id", account_id, "an account of 12 digits, as a string, or '*'")
    known = {"aws", *PARTITIONS.values()}
    if partition is not None and partition not in known:
        raise invalid("partition", partition, ", ".join(sorted(known)))
    if region_name == ANY:
        return Place(partition or "aws", region_name, account_id)
    of_region = partition_of(region_name)
    if partition not in (None, of_region):
        raise InvalidSpecError(f"partition is {partition!r}, but {region_name} is in {of_region!r}.")
    return Place(of_region, region_name, account_id)


def sagemaker_arns(where: str, kind: str, names: Iterable[Any], at: Place) -> list[str]:
    """Return the ARNs of SageMaker resources given by name or ARN.

    SageMaker shows names in ARNs in lower case; a name with capitals is given in both spellings.

    :param kind: ``model``, ``endpoint-config``, ``endpoint`` or ``inference-component``.
    """
    arns: list[str] = []
    for name in as_list(where, names):
        found = _given_arn(where, name, "sagemaker", rf"{kind}/({NAME})")
        if found is None and not (isinstance(name, str) and re.fullmatch(NAME, name)):
            raise invalid(where, name, f"names or ARNs of SageMaker {kind}s, '*' and '?' as wildcards")
        arn = found or at.arn("sagemaker", f"{kind}/{name}")
        front, slash, last = arn.rpartition("/")
        arns += dict.fromkeys((arn, f"{front}{slash}{last.lower()}"))
    return arns


def sagemaker_names(where: str, kind: str, names: Iterable[Any], at: Place) -> list[str]:
    """Return the names of SageMaker resources given by name or ARN, in the spellings of :func:`sagemaker_arns`."""
    return [arn.rpartition("/")[2] for arn in sagemaker_arns(where, kind, names, at)]


#: The folder of the log groups of each kind.
_LOG_GROUPS = {"endpoint": "Endpoints", "inference-component": "InferenceComponents"}


def log_group_arns(where: str, given: Iterable[Any], at: Place, kind: str = "endpoint") -> list[str]:
    """Return the ARNs of the log groups of endpoints or inference components, and of the streams in them."""
    names = sagemaker_names(where, kind, given, at)
    # A wildcard at the end covers both.
    groups = [end for name in names for end in ([name] if name.endswith(ANY) else [name, f"{name}:*"])]
    folder = f"/aws/sagemaker/{_LOG_GROUPS[kind]}"
    return [at.arn("logs", f"log-group:{folder}/{group}") for group in groups]


def project_arns(where: str, projects: Iterable[Any], at: Place) -> list[str]:
    """Return the ARNs of CodeBuild projects given by name or ARN."""
    return named_arns(
        where,
        projects,
        at,
        service="codebuild",
        resource="project/{}",
        pattern=r"[A-Za-z0-9*?][\w*?-]{0,149}",
        noun="CodeBuild projects",
    )


def build_log_arns(where: str, projects: Iterable[Any], at: Place) -> list[str]:
    """Return the ARNs of the log groups of CodeBuild projects, and of the streams in them."""
    names = [arn.rpartition("/")[2] for arn in project_arns(where, projects, at)]
    groups = [end for name in names for end in ([name] if name.endswith(ANY) else [name, f"{name}:*"])]
    return [at.arn("logs", f"log-group:/aws/codebuild/{group}") for group in groups]


def group_arns(where: str, groups: Iterable[Any], at: Place) -> list[str]:
    """Return the ARNs of model package groups given by name or ARN."""
    return named_arns(
        where,
        groups,
        at,
        service="sagemaker",
        resource="model-package-group/{}",
        pattern=NAME,
        noun="model package groups",
    )


def package_arns(where: str, groups: Iterable[Any], at: Place) -> list[str]:
    """Return the ARNs of all versions of model package groups given by name or ARN."""
    return [
        f"{arn.replace(':model-package-group/', ':model-package/')}/{ANY}"
        for arn in group_arns(where, groups, at)
    ]


def queue_arns(where: str, queues: Iterable[Any], at: Place) -> list[str]:
    """Return the ARNs of SQS queues given by name or ARN."""
    return named_arns(where, queues, at, service="sqs", resource="{}", pattern=QUEUE_NAME, noun="SQS queues")


def role_arns(where: str, names: Iterable[Any], at: Place) -> list[str]:
    """Return the ARNs of IAM roles given by name, by path and name, or by ARN."""
    arns = []
    for name in as_list(where, names):
        found = _given_arn(where, name, "iam", rf"role/{ROLE_NAME}")
        if found is None and not (isinstance(name, str) and re.fullmatch(ROLE_NAME, name)):
            raise invalid(where, name, "names or ARNs of IAM roles")
        arns.append(found or f"arn:{at.partition}:iam::{at.account}:role/{name.lstrip('/')}")
    return arns


def repository_arns(where: str, repositories: Iterable[Any], at: Place) -> list[str]:
    """Return the ARNs of ECR repositories given by name, by ARN, by image URI, or as a ContainerImage."""
    return [_repository_arn(where, repository, at) for repository in as_list(where, repositories)]


def s3_places(where: str, urls: Iterable[Any], *, prefixes: bool = False) -> list[tuple[str, str]]:
    """Return bucket and key prefix of S3 URLs or ModelData, each once.

    An object stands for its prefix: instances may still read the artifacts of former models, which must stay readable under the policy
    for the next model. Only an object at the bucket's root stands for itself.

    :param prefixes: Whether every URL is a prefix, with or without ``/`` at its end.
    :raises InvalidSpecError: One is no S3 URL, or names a whole bucket.
    """
    return list(dict.fromkeys(_s3_place(where, url, prefixes) for url in as_list(where, urls)))


def key_arns(where: str, keys: Iterable[Any], at: Place) -> list[str]:
    """Return the ARNs of KMS keys given by id or ARN; aliases are refused, as policies cannot name them as a resource."""
    arns = []
    for key in as_list(where, keys):
        if isinstance(key, str) and re.match(r"alias/|arn:aws[a-z-]*:kms:[^:]*:[^:]*:alias/", key):
            # https://docs.aws.amazon.com/kms/latest/developerguide/cmks-in-iam-policies.html
            raise invalid(
                where, key, "IDs or ARNs of KMS keys; in a policy, an alias does not refer to its key"
            )
        found = _given_arn(where, key, "kms", rf"key/({KMS_KEY_ID}|[\w*?-]+)")
        if found is None and not (isinstance(key, str) and re.fullmatch(KMS_KEY_ID, key)):
            raise invalid(where, key, "IDs or ARNs of KMS keys")
        arns.append(found or at.arn("kms", f"key/{key}"))
    return arns


def named_arns(
    where: str, names: Iterable[Any], at: Place, *, service: str, resource: str, pattern: str, noun: str
) -> list[str]:
    """Return the ARNs of further resources given by name or ARN.

    :param resource: The resource part of the ARN, with ``{}`` for the name.
    :param pattern: The pattern of a name.
    :param noun: The noun for the error.
    """
    arns = []
    for name in as_list(where, names):
        front, back = resource.split("{}")
        found = _given_arn(where, name, service, rf"{re.escape(front)}({pattern}){re.escape(back)}")
        if found is None and not (isinstance(name, str) and re.fullmatch(pattern, name)):
            raise invalid(where, name, f"names or ARNs of {noun}")
        arns.append(found or at.arn(service, resource.format(name)))
    return arns


def _given_arn(where: str, value: Any, service: str, resource: str) -> str | None:
    """Return a given ARN, checked; None for a value that is no ARN."""
    if not isinstance(value, str) or not value.startswith("arn:"):
        return None
    parts = re.fullmatch(ARN, value)
    if not parts or parts["service"] != service or not re.fullmatch(resource, parts["resource"]):
        raise invalid(
            where, value, f"an ARN of the form arn:<partition>:{service}:…:{resource.partition('(')[0]}…"
        )
    return value


def _repository_arn(where: str, repository: Any, at: Place) -> str:
    allowed = "names or ARNs of ECR repositories, image URIs of ECR, or ContainerImages of ECR"
    name, region, account = repository, at.region, at.account
    match kind_of(repository):
        case "EcrImage":
            name = repository["RepositoryName"]
            region = repository.get("RegionName") or region
            account = repository.get("RegistryId") or account
        case "DlcImage":
            name, account = repository["RepositoryName"], repository.get("AccountId")
            if not account and region == ANY:
                raise InvalidSpecError(
                    f"{where}: an AWS Deep Learning Container needs region_name, or its account_id."
                )
            account = account or dlc_account(region)
        case None if isinstance(repository, str):
            if found := _given_arn(where, repository, "ecr", r"repository/([a-z0-9*?._/-]+)"):
                return found
            uri = re.fullmatch(ECR_IMAGE, repository)
            local = re.fullmatch(LOOPBACK_IMAGE, repository)
            if uri:
                region, account = uri["region"], uri["account"]
            if uri or local:
                name = re.sub(r"(:[^:@/]+)?(@.+)?$", "", (uri or local)["name"])  # type: ignore[index]
            elif "." in repository.partition("/")[0] and "/" in repository:
                raise invalid(
                    where,
                    repository,
                    f"{allowed}; images in other registries are not pulled with IAM permissions",
                )
        case _:
            raise invalid(where, repository, allowed)
    if not (isinstance(name, str) and re.fullmatch(REPOSITORY_PATTERN, re.sub(r"[*?]", "x", name))):
        raise invalid(where, repository, allowed)
    partition = at.partition if region == ANY else partition_of(region)
    return f"arn:{partition}:ecr:{region}:{account}:repository/{name}"


def _s3_place(where: str, url: Any, is_prefix: bool) -> tuple[str, str]:
    allowed = "s3:// or https:// URLs of S3 objects or prefixes, or ModelData"
    match kind_of(url):
        case "S3Object":
            bucket, key = url["Bucket"], url["Key"]
        case "S3Prefix":
            bucket, key = url["Bucket"], f"{str(url['Prefix'] or '').strip('/')}/"
        case None if isinstance(url, str):
            if url.startswith("https://") and "?" in url:
                # It may be the signature of a presigned URL.
                raise invalid(where, f"{url.partition('?')[0]}?***", f"{allowed}, without a query string")
            location = S3Location.parse(url)
            if location is None:
                raise invalid(where, url, allowed)
            bucket, key = location
        case _:
            raise invalid(where, url, allowed)
    if not re.fullmatch(BUCKET, bucket):
        raise invalid(where, url, allowed)
    if not key.strip("/*"):
        raise InvalidSpecError(
            f"{where}: {url!r} is a whole bucket; allowed: an object, or a prefix that ends with '/'."
        )
    key = key.removesuffix(ANY) if key.endswith(f"/{ANY}") else key
    folder = key.rstrip("/") if is_prefix else key.rpartition("/")[0]
    return bucket, f"{folder}/" if folder else key
