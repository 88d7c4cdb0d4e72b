"""The settings of builds by CodeBuild: what is checked while the DAG file is parsed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.codebuild import CodeBuildSettings, check_codebuild

LEAST: dict[str, Any] = {"service_role": "builds", "bucket_name": "builds"}
VPC = {"vpcId": "vpc-1", "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}
SECRET = {"name": "pip-conf", "type": "SECRETS_MANAGER", "value": "pip:conf"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"service_role": "arn:aws:iam::123456789012:role/path/builds"},
        {"service_role": "{{ var.value.role }}", "bucket_name": "{{ var.value.bucket }}"},
        {"project_name": "team_images-1", "compute_type": "BUILD_GENERAL1_LARGE", "image": "aws/codebuild/standard:7.0"},
        {"timeout": 300},
        {"timeout": timedelta(hours=36)},
        {"timeout": "{{ params.timeout }}"},
        {"vpc_config": VPC},
        {"vpc_config": "{{ params.vpc }}"},
        {"kms_key_id": "alias/builds", "key_prefix": "a/b"},
        {"secrets": [SECRET, {"name": "b", "type": "PARAMETER_STORE", "value": "/a/b"}]},
        {"secrets": "{{ params.secrets }}"},
    ],
)  # fmt: skip
def test_what_can_work_is_accepted(more: dict[str, Any]) -> None:
    given = {**LEAST, **more}
    before = repr(given)
    check_codebuild("codebuild", given)
    assert repr(given) == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"service_role": None}, "codebuild lacks service_role, which"),
        ({"service_role": None, "bucket_name": None}, "codebuild lacks service_role and bucket_name, which"),
        ({"service_role": "a b"}, r"codebuild\[service_role\] is 'a b'"),
        ({"bucket_name": "a"}, r"codebuild\[bucket_name\] is 'a'"),
        ({"buket_name": "a"}, "codebuild has 'buket_name'.*Did you mean 'bucket_name'"),
        ({"zzz": 1}, "codebuild has 'zzz'; allowed: service_role,"),
        ({"project_name": "a.b"}, r"codebuild\[project_name\]"),
        ({"project_name": "a" * 151}, r"codebuild\[project_name\]"),
        ({"timeout": 299}, "300 to 129600"),
        ({"timeout": timedelta(hours=37)}, "300 to 129600"),
        ({"compute_type": 1}, r"codebuild\[compute_type\] is 1; allowed: a string"),
        ({"image": ""}, r"codebuild\[image\]"),
        ({"vpc_config": {"vpcId": "vpc-1"}}, r"codebuild\[vpc_config\].*subnets"),
        ({"vpc_config": {**VPC, "subnets": ["subnet-1"] * 17}}, "17 entries; allowed: 1 to 16"),
        ({"vpc_config": {**VPC, "securityGroupIds": []}}, "0 entries; allowed: 1 to 5"),
        ({"kms_key_id": "a b"}, r"codebuild\[kms_key_id\]"),
        ({"secrets": SECRET}, r"codebuild\[secrets\] is a dict; allowed: a list"),
        ({"secrets": [{"name": "a"}]}, r"codebuild\[secrets\]\[0\].*name, type and value"),
        ({"secrets": [{**SECRET, "type": "PLAINTEXT"}]}, "'SECRETS_MANAGER', 'PARAMETER_STORE'"),
        ({"secrets": [{**SECRET, "name": "a,src=/etc/passwd"}]}, r"\[secrets\]\[0\]\[name\]"),
        ({"secrets": [SECRET, SECRET]}, "'pip-conf' twice"),
    ],
)
def test_what_cannot_work_is_named(more: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        check_codebuild("codebuild", {**LEAST, **more})


def test_every_setting_is_told() -> None:
    doc = CodeBuildSettings.__doc__ or ""
    assert [name for name in CodeBuildSettings.__annotations__ if f"``{name}``" not in doc] == []
