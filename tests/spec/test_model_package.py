"""References to model packages, and what may stand beside one in a container."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest

from airflow_sm_hosting import ContainerDefinition, ModelPackage
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.model import check_model
from airflow_sm_hosting.spec.reference import MARK
from airflow_sm_hosting.spec.reference_parts import rendered_reference

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/churn/3"
GROUP_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model-package-group/churn"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/churn:1"


@pytest.mark.parametrize("group", ["churn", "Churn-2", GROUP_ARN, "{{ params.group }}"])
def test_a_group_is_given_by_name_or_by_arn(group: str) -> None:
    assert ModelPackage.latest_approved(group) == {MARK: "LatestApprovedPackage", "Group": group}


@pytest.mark.parametrize("arn", ["churn/3", "churn/10", ARN, "{{ params.arn }}"])
def test_a_version_is_given_by_arn_or_by_group_and_number(arn: str) -> None:
    assert ModelPackage.version(arn) == {MARK: "PackageVersion", "Arn": arn}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ModelPackage.latest_approved(ARN), "latest_approved: group is"),
        (
            lambda: ModelPackage.latest_approved("churn/3"),
            "latest_approved: group is 'churn/3'; allowed: the name",
        ),
        (lambda: ModelPackage.latest_approved(""), "latest_approved: group is ''"),
        (lambda: ModelPackage.version("churn"), "version: arn is 'churn'; allowed: a version's ARN"),
        (lambda: ModelPackage.version("churn/0"), "version: arn is 'churn/0'"),
        (lambda: ModelPackage.version(GROUP_ARN), "version: arn is"),
        (lambda: ModelPackage.from_event(""), "from_event: asset is ''; allowed: an asset, or its name"),
        (lambda: ModelPackage.from_event("a", group="a b"), "from_event: group is 'a b'"),
    ],
)
def test_what_can_never_work_is_refused_when_it_is_written(make: Any, words: str) -> None:
    with pytest.raises(InvalidSpecError, match=re.escape(words)):
        make()


def test_a_container_has_a_package_in_place_of_an_image() -> None:
    package = ModelPackage.latest_approved("churn")
    assert ContainerDefinition(model_package=package, environment={"A": "b"}) == {
        "ModelPackageName": package,
        "Environment": {"A": "b"},
    }
    assert ContainerDefinition(model_package="churn/3") == ContainerDefinition(ModelPackageName="churn/3")
    assert json.loads(json.dumps(ContainerDefinition(model_package=package)))["ModelPackageName"] == package


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"image": IMAGE}, "has model_package and image; allowed: a model package alone"),
        ({"model_data": "s3://models/m.tar.gz"}, "has model_package and model_data"),
        (
            {"model_data": {"S3DataSource": {"S3Uri": "s3://models/m/", "S3DataType": "S3Prefix"}}},
            "has model_package and ModelDataSource",
        ),
        ({"image": IMAGE, "model_data": "s3://m/m.tar.gz"}, "has model_package and image and model_data"),
        ({"ModelPackageName": "churn/2"}, "has model_package and ModelPackageName; allowed: one of them"),
    ],
)
def test_a_package_stands_alone(members: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=re.escape(words)):
        ContainerDefinition(model_package="churn/3", **members)


@pytest.mark.parametrize("package", [3, "", " churn/3", {"a": 1}, GROUP_ARN])
def test_what_is_no_package_is_refused(package: Any) -> None:
    with pytest.raises(InvalidSpecError, match="model_package is"):
        ContainerDefinition(model_package=package)


def test_a_group_in_place_of_a_package_is_told_what_to_do() -> None:
    with pytest.raises(InvalidSpecError, match=r"Use ModelPackage\.latest_approved"):
        ContainerDefinition(model_package=GROUP_ARN)


def test_a_specification_needs_a_package() -> None:
    with pytest.raises(InvalidSpecError, match="InferenceSpecificationName and no model package"):
        ContainerDefinition(image=IMAGE, InferenceSpecificationName="gpu")
    assert ContainerDefinition(model_package="churn/3", InferenceSpecificationName="gpu")


def test_a_plain_dict_is_held_to_the_same() -> None:
    with pytest.raises(InvalidSpecError, match=r"containers\[0\] has model_package and image"):
        check_model(containers=[{"Image": IMAGE, "ModelPackageName": "churn/3"}])
    check_model(containers=[{"ModelPackageName": ModelPackage.version(ARN)}])


# The version of an event


def event(arn: str, modified_at: str) -> SimpleNamespace:
    payload = {"arn": arn, "modified_at": modified_at}
    return SimpleNamespace(extra={"from_trigger": True, "payload": payload})


def rendered(reference: dict[str, Any], **context: Any) -> dict[str, Any]:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    text = environment.from_string(reference["Arn"]).render(**context)
    found: dict[str, Any] = rendered_reference("model_package", {**reference, "Arn": text})
    return found


def test_the_last_change_of_a_package_counts() -> None:
    @dataclass(frozen=True)
    class Hashed:
        name: str

    asset, other = Hashed(name="approved"), Hashed(name="other")
    events = {
        other: [event("other/9", "2026-11-30T10:00:09Z")],
        asset: [
            event("churn/4", "2026-11-30T10:00:02Z"),
            event("churn/5", "2026-11-30T10:00:01Z"),
            SimpleNamespace(extra={"by": "hand"}),
        ],
    }
    for of in ("approved", asset):
        reference = ModelPackage.from_event(of)
        assert rendered(reference, triggering_asset_events=events)["Arn"] == "churn/4"


@pytest.mark.parametrize("context", [{}, {"triggering_asset_events": {}}])
def test_without_an_event_there_is_no_version(context: dict[str, Any]) -> None:
    reference = ModelPackage.from_event("approved", group="churn")
    assert rendered(reference, **context) == {MARK: "PackageOfEvent", "Group": "churn"}
    assert rendered(ModelPackage.from_event("approved"), **context) == {MARK: "PackageOfEvent"}


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ({MARK: "PackageVersion", "Arn": "None"}, "ModelPackage.version: arn is 'None'"),
        ({MARK: "PackageVersion", "Arn": "churn"}, "ModelPackage.version: arn is 'churn'"),
        ({MARK: "LatestApprovedPackage", "Group": ""}, "ModelPackage.latest_approved: group is ''"),
        ({MARK: "PackageOfEvent", "Arn": "churn"}, "ModelPackage.from_event: arn is 'churn'"),
    ],
)
def test_what_rendered_to_nothing_or_to_something_else_is_refused(
    reference: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidSpecError, match=re.escape(words)):
        rendered_reference("containers[0]", reference)
