"""Roles that SageMaker is given: CreateModel is refused where it cannot assume them."""

from __future__ import annotations

from airflow_sm_hosting.local.iam.policy_evaluation import trusts
from airflow_sm_hosting.local.moto_bridge import identities
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID

_SERVICE = "sagemaker.amazonaws.com"
#: The role that is there from the start, so that a first model needs no IAM; in every partition, though IAM lists it in ``aws`` only.
WELL_KNOWN = "sagemaker"
_WELL_KNOWN_END = f":iam::{ACCOUNT_ID}:role/{WELL_KNOWN}"


def make_well_known_role() -> None:
    """Make the role that is there from the start, unless it is there."""
    if identities.role_of_arn(f"arn:aws{_WELL_KNOWN_END}") is None:
        identities.make_role(_SERVICE, WELL_KNOWN)


def is_assumable(arn: str) -> bool:
    """Return whether SageMaker can assume a role: it exists and its trust policy names SageMaker.

    https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
    """
    if (role := identities.role_of_arn(arn)) is not None:
        return trusts(identities.trust_policy(role), _SERVICE)
    return not arn.startswith("arn:aws:") and arn.endswith(_WELL_KNOWN_END)
