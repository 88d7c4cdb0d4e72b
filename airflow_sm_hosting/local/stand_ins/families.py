"""The families of AWS's own serving images, and how an image is known to be of one: by account, Region and repository."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from airflow_sm_hosting.spec.dlc import ACCOUNT_BY_REGION, is_of_aws

# Deep Learning Containers, where aws-cdk-lib's region facts have no account: aws/deep-learning-containers, region availability.
_DEEP_LEARNING: Mapping[str, str] = MappingProxyType(
    {
        **ACCOUNT_BY_REGION,
        "af-south-1": "626614931356",
        "ap-northeast-3": "364406365360",
        "ap-southeast-5": "550225433462",
        "ap-southeast-7": "590183813437",
        "ca-west-1": "204538143572",
        "il-central-1": "780543022126",
        "mx-central-1": "637423239942",
    }
)
# aws/sagemaker-python-sdk, image_uri_config: sagemaker-xgboost.json, sklearn.json, huggingface-tei.json.
_FRAMEWORKS: Mapping[str, str] = MappingProxyType(
    {
        "af-south-1": "510948584623",
        "ap-east-1": "651117190479",
        "ap-northeast-1": "354813040037",
        "ap-northeast-2": "366743142698",
        "ap-northeast-3": "867004704886",
        "ap-south-1": "720646828776",
        "ap-south-2": "628508329040",
        "ap-southeast-1": "121021644041",
        "ap-southeast-2": "783357654285",
        "ap-southeast-3": "951798379941",
        "ap-southeast-4": "106583098589",
        "ca-central-1": "341280168497",
        "ca-west-1": "190319476487",
        "cn-north-1": "450853457545",
        "cn-northwest-1": "451049120500",
        "eu-central-1": "492215442770",
        "eu-central-2": "680994064768",
        "eu-north-1": "662702820516",
        "eu-south-1": "978288397137",
        "eu-south-2": "104374241257",
        "eu-west-1": "141502667606",
        "eu-west-2": "764974769150",
        "eu-west-3": "659782779980",
        "il-central-1": "898809789911",
        "sa-east-1": "737474898029",
        "us-east-1": "683313688378",
        "us-east-2": "257758044811",
        "us-west-1": "746614075791",
        "us-west-2": "246618743249",
    }
)


@dataclass(frozen=True)
class Family:
    """Images with one contract.

    :param name: The name of its contract (:mod:`airflow_sm_hosting.local.stand_ins.container.contracts`).
    :param repositories: Their repositories.
    :param accounts: AWS's account that has them, by Region.
    """

    name: str
    repositories: tuple[str, ...]
    accounts: Mapping[str, str]


#: Repositories: https://github.com/aws/deep-learning-containers (docs/src/data), aws/sagemaker-python-sdk (image_uri_config).
FAMILIES = (
    Family("lmi", ("djl-inference",), _DEEP_LEARNING),
    Family("vllm", ("vllm", "huggingface-vllm", "huggingface-vllm-inference-neuronx"), _DEEP_LEARNING),
    Family("sglang", ("sglang", "huggingface-sglang"), _DEEP_LEARNING),
    Family("llamacpp", ("huggingface-llamacpp",), _DEEP_LEARNING),
    Family("tgi", ("huggingface-pytorch-tgi-inference",), _DEEP_LEARNING),
    Family("tei", ("tei", "tei-cpu"), _FRAMEWORKS),
    Family(
        "huggingface",
        (
            *("huggingface-pytorch-inference", "huggingface-tensorflow-inference"),
            "huggingface-pytorch-inference-neuronx",
        ),
        _DEEP_LEARNING,
    ),
    Family(
        "pytorch",
        (
            *("pytorch-inference", "pytorch-inference-arm64", "pytorch-inference-graviton"),
            "pytorch-inference-neuronx",
        ),
        _DEEP_LEARNING,
    ),
    Family("tensorflow", ("tensorflow-inference", "tensorflow-inference-graviton"), _DEEP_LEARNING),
    Family("triton", ("sagemaker-tritonserver",), _DEEP_LEARNING),
    Family("sklearn", ("sagemaker-scikit-learn",), _FRAMEWORKS),
    Family("xgboost", ("sagemaker-xgboost",), _FRAMEWORKS),
)
_BY_REPOSITORY = {repository: family for family in FAMILIES for repository in family.repositories}

# Other partitions have other domains, so any is taken: https://docs.aws.amazon.com/general/latest/gr/ecr.html
_ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
# The public gallery has some of them, too: https://gallery.ecr.aws/deep-learning-containers
_PUBLIC_IMAGE = re.compile(r"public\.ecr\.aws/deep-learning-containers/(?P<repository>[^:@]+)(?:[:@].+)?")


@dataclass(frozen=True)
class AwsImage:
    """An image of a repository that AWS has.

    :param family: Its family.
    :param wrong: Why there is no such image; an empty string where there may be one.
    :param elsewhere: The account that has it in that Region, if it is another one.
    """

    family: Family
    wrong: str = ""
    elsewhere: str = ""


def aws_image(image: str) -> AwsImage | None:
    """Return which of AWS's own images a reference names, or None for an image of others.

    The host alone says nothing: account, Region and repository must fit. That there is an image of the tag is not checked.
    """
    if public := _PUBLIC_IMAGE.fullmatch(image):
        family = _BY_REPOSITORY.get(public["repository"])
        return AwsImage(family) if family else None
    match = _ECR_IMAGE.fullmatch(image)
    family = _BY_REPOSITORY.get(match["repository"]) if match else None
    if match is None or family is None:
        return None
    account, region = match["account"], match["region"]
    right = family.accounts.get(region)
    if right == account:
        return AwsImage(family)
    if not is_of_aws(account):
        # Somebody else's repository that has the same name.
        return None
    # A Region that is newer than the tables is not known to be wrong.
    where = f"it is {right} there" if right else "AWS is not known to have it there"
    wrong = f"the account {account} does not have {match['repository']} in {region}; {where}"
    return AwsImage(family, wrong, right or "")


def local_name(image: str) -> str:
    """Return an image's name without its registry: ``repository:tag``."""
    head, slash, rest = image.partition("/")
    return rest if slash and ("." in head or ":" in head or head == "localhost") else image
