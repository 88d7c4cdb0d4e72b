"""Registry accounts of the AWS Deep Learning Containers.

.. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/sagemaker-algo-docker-registry-paths.html
"""

from __future__ import annotations

from airflow_sm_hosting.exceptions import InvalidSpecError

#: As of aws-cdk-lib 2.275.0's region facts, October 2026.
ACCOUNT_BY_REGION = {
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-northeast-1": "763104351884",
    "ap-northeast-2": "763104351884",
    "ap-south-1": "763104351884",
    "ap-south-2": "772153158452",
    "ap-southeast-1": "763104351884",
    "ap-southeast-2": "763104351884",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-6": "633930458069",
    "ca-central-1": "763104351884",
    "cn-north-1": "727897471807",
    "cn-northwest-1": "727897471807",
    "eu-central-1": "763104351884",
    "eu-central-2": "380420809688",
    "eu-north-1": "763104351884",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "eu-west-1": "763104351884",
    "eu-west-2": "763104351884",
    "eu-west-3": "763104351884",
    "eusc-de-east-1": "204133271717",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "sa-east-1": "763104351884",
    "us-east-1": "763104351884",
    "us-east-2": "763104351884",
    "us-isof-east-1": "303241398832",
    "us-isof-south-1": "454834333376",
    "us-west-1": "763104351884",
    "us-west-2": "763104351884",
}

#: Registry accounts of SageMaker's own framework and serving images (sagemaker-python-sdk, image_uri_config/sagemaker-xgboost.json and
#: sklearn.json, huggingface-tei.json; deep-learning-containers, region availability of further Regions).
OTHER_ACCOUNTS = frozenset(
    """
    683313688378 257758044811 746614075791 246618743249 341280168497 190319476487 737474898029 510948584623 651117190479 450853457545
    720646828776 628508329040 354813040037 366743142698 867004704886 121021644041 783357654285 951798379941 106583098589 451049120500
    492215442770 680994064768 141502667606 764974769150 659782779980 978288397137 104374241257 662702820516 898809789911
    626614931356 364406365360 550225433462 590183813437 204538143572 780543022126 637423239942
    """.split()
)


def is_of_aws(account_id: str) -> bool:
    """Return whether a registry is AWS's own: its repositories can be read from every account, and no user can change their policies."""
    return account_id in OTHER_ACCOUNTS or account_id in ACCOUNT_BY_REGION.values()


def dlc_account(region_name: str) -> str:
    """Return AWS's registry account in a Region.

    :raises InvalidSpecError: For a Region that the table does not have, with the way out.
    """
    try:
        return ACCOUNT_BY_REGION[region_name]
    except KeyError:
        raise InvalidSpecError(
            f"The registry account of the AWS Deep Learning Containers in {region_name!r} is not known; known: "
            f"{', '.join(sorted(ACCOUNT_BY_REGION))}. Give it as ContainerImage.from_dlc(…, account_id=…)."
        ) from None
