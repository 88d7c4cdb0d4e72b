from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.repository_settings import RepositorySettings
from airflow_sm_hosting.spec.secret import Hidden, HidesValues, hidden_values


def test_settings_have_the_members_of_the_requests() -> None:
    settings = RepositorySettings(
        scan_on_push=True,
        immutable_tags=False,
        kms_key_id="alias/images",
        expire_untagged_after=timedelta(days=1),
        pull_principals=["111122223333", "arn:aws:iam::111122223333:role/r"],
        imageTagMutabilityExclusionFilters=[],
    )
    assert json.loads(settings.pop("lifecyclePolicyText"))["rules"][0]["selection"]["countNumber"] == 1
    assert settings == {
        "imageScanningConfiguration": {"scanOnPush": True},
        "imageTagMutability": "MUTABLE",
        "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "alias/images"},
        "pullPrincipals": ["111122223333", "arn:aws:iam::111122223333:role/r"],
        "imageTagMutabilityExclusionFilters": [],
    }


def test_what_is_not_given_is_not_there() -> None:
    assert RepositorySettings() == {}
    assert RepositorySettings(immutable_tags=True) == {"imageTagMutability": "IMMUTABLE"}


def test_what_is_rendered_later_is_left_as_it_is() -> None:
    assert RepositorySettings(lifecyclePolicyText="{{ params.policy }}")
    assert RepositorySettings(lifecyclePolicyText='{"rules": []}')
    settings = RepositorySettings(pull_principals="{{ params.accounts }}", kms_key_id="{{ params.key }}")
    assert settings["pullPrincipals"] == "{{ params.accounts }}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scan_on_push": "yes"}, "scan_on_push is 'yes'; allowed: True or False"),
        ({"immutable_tags": 1}, "immutable_tags is 1; allowed"),
        ({"expire_untagged_after": 14}, "expire_untagged_after is 14; allowed: a timedelta of whole days"),
        ({"expire_untagged_after": timedelta(hours=30)}, "a timedelta of whole days"),
        ({"expire_untagged_after": timedelta(0)}, "a timedelta of whole days"),
        ({"pull_principals": "111122223333"}, "pull_principals is '111122223333'; allowed: a list"),
        ({"pull_principals": ["1111"]}, r"pull_principals\[0\] is '1111'; allowed: an account of 12 digits"),
        ({"pull_principals": ["*"]}, "allowed: an account of 12 digits"),
        ({"kms_key_id": "two words"}, "kms_key_id is 'two words'; allowed: a key ID"),
        (
            {"lifecyclePolicyText": "no JSON"},
            "lifecyclePolicyText is 'no JSON'; allowed: a JSON text with rules",
        ),
        ({"lifecyclePolicyText": {"rules": []}}, "allowed: a JSON text with rules"),
        ({"lifecyclePolicyText": "{}"}, "allowed: a JSON text with rules"),
        ({"lifecyclePolicyText": '{"rules": 1}'}, "allowed: a JSON text with rules"),
    ],
)
def test_settings_that_can_never_work_are_refused_where_they_are_written(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        RepositorySettings(**given)


class _Task:
    secrets = HidesValues()


def test_the_values_of_a_field_are_hidden_once_they_are_rendered() -> None:
    task = _Task()
    given = {"a": "{{ params.a }}"}
    task.secrets = given
    assert task.secrets is given
    task.secrets = {"a": "value", "b": 7}
    assert [str(value) for value in task.secrets.values()] == ["***", "***"]
    assert hidden_values(task.secrets) == {"value", "7"}
    task.secrets = None
    assert task.secrets is None
    task.secrets = "not a dict"
    assert isinstance(task.secrets, Hidden)
    assert hidden_values(task.secrets) == set()
