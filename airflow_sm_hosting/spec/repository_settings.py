"""Settings of an ECR repository, in the shapes of CreateRepository, PutLifecyclePolicy and SetRepositoryPolicy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow_sm_hosting.spec.checks import check_kms_key, check_text, invalid, is_rendered_later
from airflow_sm_hosting.spec.templated import RenderedLater, TemplatedStr

#: Accounts of 12 digits, or roles and users in them.
_PRINCIPAL = r"\d{12}|arn:aws[a-z-]*:iam::\d{12}:(?:root|role/.+|user/.+)"
_DAY = timedelta(days=1)


class RepositorySettings(dict[str, Any]):
    """Settings of an ECR repository. What is not given stays as it is.

    .. seealso:: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html

    :param scan_on_push: Whether images are scanned for vulnerabilities when they are pushed. A registry with enhanced scanning ignores it.
    :param immutable_tags: Whether a tag cannot be moved. ``image_tag`` of ``BuildImageOperator`` then has to be another one for each image.
    :param kms_key_id: Id, alias or ARN of the KMS key that encrypts the images (default: AWS's own). It can only be given to a new
        repository; of an existing one an alias is not compared. (templated)
    :param expire_untagged_after: A timedelta of whole days, 1 or more: images without a tag are deleted when they are so old. Other rules of
        the repository's lifecycle policy stay. An image that
        was built here always has one. ``CleanUpHostingOperator`` deletes tagged images that no endpoint needs, which a lifecycle
        policy of ECR cannot know.
    :param pull_principals: Accounts of 12 digits, or ARNs of roles in them, that may pull. Other statements of the repository's policy
        stay. (templated)
    :param members: Further members of CreateRepository, and ``lifecyclePolicyText`` (PutLifecyclePolicy) as a JSON text.
    :raises InvalidSpecError: When a literal value can never work.
    """

    def __init__(
        self,
        *,
        scan_on_push: bool | None = None,
        immutable_tags: bool | None = None,
        kms_key_id: TemplatedStr | None = None,
        expire_untagged_after: timedelta | None = None,
        pull_principals: Sequence[TemplatedStr] | RenderedLater = (),
        **members: Any,
    ) -> None:
        super().__init__(members)
        for name, value in (("scan_on_push", scan_on_push), ("immutable_tags", immutable_tags)):
            if value is not None and not isinstance(value, bool):
                raise invalid(f"RepositorySettings: {name}", value, "True or False")
        if scan_on_push is not None:
            self["imageScanningConfiguration"] = {"scanOnPush": scan_on_push}
        if immutable_tags is not None:
            self["imageTagMutability"] = "IMMUTABLE" if immutable_tags else "MUTABLE"
        if kms_key_id is not None:
            self["encryptionConfiguration"] = {"encryptionType": "KMS", "kmsKey": kms_key_id}
        if expire_untagged_after is not None:
            self["lifecyclePolicyText"] = _expiring(expire_untagged_after)
        if not is_rendered_later(pull_principals):
            check_principals("RepositorySettings: pull_principals", pull_principals)
        if pull_principals:
            self["pullPrincipals"] = pull_principals
        check_settings("RepositorySettings", {**self, "pullPrincipals": ()})


def check_settings(where: str, settings: Mapping[str, Any]) -> None:
    """Check settings that may have been written or rendered as a plain dict.

    :raises InvalidSpecError: One can never work.
    """
    check_principals(f"{where}: pull_principals", settings.get("pullPrincipals") or ())
    key = (settings.get("encryptionConfiguration") or {}).get("kmsKey")
    if key is not None and not is_rendered_later(key):
        check_kms_key(f"{where}: kms_key_id", key)
    text = settings.get("lifecyclePolicyText")
    if text is None or is_rendered_later(text):
        return
    try:
        rules = json.loads(text)["rules"]
    except (TypeError, ValueError, KeyError):
        rules = None
    if not isinstance(rules, list):
        raise invalid(
            f"{where}: lifecyclePolicyText", text, "a JSON text with rules, as of PutLifecyclePolicy"
        )


def check_principals(where: str, principals: Any) -> None:
    """Check the accounts and roles that may pull."""
    if isinstance(principals, str | bytes) or not isinstance(principals, Sequence):
        raise invalid(where, principals, "a list of accounts of 12 digits and ARNs of roles")
    for index, principal in enumerate(principals):
        check_text(
            f"{where}[{index}]",
            principal,
            pattern=_PRINCIPAL,
            allowed="an account of 12 digits as a string, or the ARN of a role",
        )


def _expiring(after: Any) -> str:
    if not isinstance(after, timedelta) or after < _DAY or after % _DAY:
        raise invalid(
            "RepositorySettings: expire_untagged_after",
            after,
            "a timedelta of whole days, 1 or more",
        )
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
    rule = {
        "rulePriority": 1,
        "description": "sm-hosting: images without a tag",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": after // _DAY,
        },
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [rule]})
