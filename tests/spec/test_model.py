"""The CreateModel request, and what its members must be to each other."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from botocore.validate import ParamValidator
from hypothesis import given, strategies as st

from airflow_sm_hosting import ContainerDefinition, ContainerImage, ModelData
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.spec.model import check_model, model_request
from airflow_sm_hosting.spec.naming import content_digest, content_name

ROLE = "arn:aws:iam::123456789012:role/sagemaker"
SECRET = "hunter2-and-more"


def container(**options: Any) -> dict[str, Any]:
    return ContainerDefinition(**{"image": "churn:1", **options})


def pipeline(number: int, **options: Any) -> list[dict[str, Any]]:
    return [container(**options) for _ in range(number)]


def test_one_container_is_the_primary_one_and_more_are_a_pipeline() -> None:
    one, two = container(), container(image="other:1")
    assert model_request(containers=[one]) == {"PrimaryContainer": one}
    assert model_request(containers=[one, two]) == {"Containers": [one, two]}


def test_false_stays_and_none_is_absent() -> None:
    request = model_request(
        containers=[container()],
        execution_role_arn=ROLE,
        subnets=["subnet-1"],
        security_group_ids=["sg-1"],
        enable_network_isolation=False,
        inference_execution_mode="Serial",
    )
    assert request == {
        "PrimaryContainer": {"Image": "churn:1"},
        "ExecutionRoleArn": ROLE,
        "VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        "EnableNetworkIsolation": False,
        "InferenceExecutionConfig": {"Mode": "Serial"},
    }


def test_nothing_that_was_given_is_changed() -> None:
    containers = pipeline(2, environment={"A": "b"})
    before = copy.deepcopy(containers)
    check_model(containers=containers)
    request = model_request(containers=containers)
    request["Containers"].append("more")
    assert containers == before


@pytest.mark.parametrize("number", [1, 2, 15])
def test_1_to_15_containers_are_taken(number: int) -> None:
    check_model(containers=pipeline(number))


@pytest.mark.parametrize(
    ("containers", "message"),
    [
        ([], "containers has 0 entries; allowed: 1, or 2 to 15"),
        (pipeline(16), "containers has 16 entries"),
        ({"Image": "churn:1"}, "containers is a dict; allowed: a list of 1 to 15 ContainerDefinitions"),
        ("churn:1", "containers is a str"),
        (["churn:1"], r"containers\[0\] is a str; allowed: a ContainerDefinition or a dict in its shape"),
        ([container(), None], r"containers\[1\] is a NoneType"),
        ([{"Environment": {}}], r"containers\[0\] has no Image; allowed: an image, or a ModelPackageName"),
        ([{"Image": "churn:1", "ModelDataUrl": "s3://a/b", "ModelDataSource": {}}], "both ModelDataUrl and ModelDataSource"),
        ([{"Image": "churn:1", "Environment": {"1": SECRET}}], r"a key of containers\[0\].Environment is '1'"),
        ([container(container_hostname="a"), container()], r"ContainerHostname is missing on \[1\]"),
        ([container(container_hostname="a"), container(container_hostname="a")], "ContainerHostname has 'a' twice"),
        ([container(image=ContainerImage.from_asset("app"))], r"containers\[0\].Image is a from_asset.*BuildImageOperator.*ModelHostingTaskGroup"),
        ([container(), container(model_data=ModelData.from_asset("m"))], r"containers\[1\].ModelDataUrl is a from_asset.*UploadModelDataOperator.*ModelHostingTaskGroup"),
    ],
    ids=range(13),
)  # fmt: skip
def test_containers_that_cannot_be_are_refused(containers: Any, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message) as caught:
        check_model(containers=containers)
    assert SECRET not in str(caught.value)


def test_direct_invocation_needs_a_hostname_on_each() -> None:
    names = [container(container_hostname=name) for name in "ab"]
    check_model(containers=names, inference_execution_mode="Direct")
    with pytest.raises(InvalidSpecError, match=r"'Direct' needs a ContainerHostname on each"):
        check_model(containers=pipeline(2), inference_execution_mode="Direct")
    with pytest.raises(InvalidSpecError, match=r"inference_execution_mode is 'direct'.*'Serial', 'Direct'"):
        check_model(containers=pipeline(1), inference_execution_mode="direct")


def test_environments_of_all_containers_share_32_kilobytes() -> None:
    # 16 bytes of keys and 2 × 16 values of 1016 bytes in all: exactly 32 KB.
    environment = {f"KEY{number:05}": "v" * 1016 for number in range(16)}
    check_model(containers=pipeline(2, environment=environment))
    with pytest.raises(InvalidSpecError, match=r"the environments have 32777 bytes in total; allowed: 32768"):
        check_model(
            containers=[*pipeline(2, environment=environment), container(environment={"KEY00000": "v"})]
        )


def test_bytes_count_and_not_characters() -> None:
    environment = {f"K{number}": "ü" * 1024 for number in range(16)}
    with pytest.raises(InvalidSpecError, match=r"bytes in total"):
        check_model(containers=[container(environment=environment)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subnets": ["subnet-1"]}, "subnets is given without security_group_ids"),
        ({"security_group_ids": ["sg-1"]}, "security_group_ids is given without subnets"),
        ({"subnets": ["s"], "security_group_ids": []}, "subnets is given without security_group_ids"),
    ],
    ids=["subnets", "groups", "empty groups"],
)
def test_a_vpc_is_subnets_and_groups(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        check_model(containers=pipeline(1), **options)


names = st.text("abzAZ09-", min_size=1, max_size=63).map(lambda text: text.strip("-") or "a")
environments = st.dictionaries(
    st.text("abZ_09", min_size=1, max_size=30).map("K{}".format),
    st.text(st.characters(codec="utf-8"), max_size=50),
    max_size=5,
)
containers = st.builds(
    ContainerDefinition,
    image=st.text("az09./@:-", min_size=1, max_size=255),
    model_data=st.none() | st.text("az./-", max_size=30).map("s3://models/{}".format),
    environment=st.none() | environments,
    mode=st.sampled_from([None, "SingleModel", "MultiModel"]),
)


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    chosen = draw(st.lists(containers, min_size=1, max_size=4))
    if draw(st.booleans()):
        hostnames = draw(st.lists(names, min_size=len(chosen), max_size=len(chosen), unique=True))
        chosen = [{**one, "ContainerHostname": name} for one, name in zip(chosen, hostnames, strict=True)]
    mode = draw(st.sampled_from([None, "Serial"]))
    vpc = draw(st.booleans())
    groups = {"subnets": ["subnet-1"], "security_group_ids": ["sg-1"]} if vpc else {}
    check_model(containers=chosen, inference_execution_mode=mode, **groups)
    return model_request(
        containers=chosen,
        execution_role_arn=draw(st.sampled_from([None, ROLE])),
        enable_network_isolation=draw(st.none() | st.booleans()),
        inference_execution_mode=mode,
        **groups,
    )


@given(models(), names)
def test_every_request_passes_botocores_own_validator_and_our_stricter_one(
    request: dict[str, Any], base: str
) -> None:
    name = content_name(base, content_digest("CreateModel", request))
    ready = validated_request("sagemaker", "CreateModel", {"ModelName": name, **request})
    report = ParamValidator().validate(ready, input_shape("sagemaker", "CreateModel"))
    assert not report.has_errors(), report.generate_report()
    assert {key: value for key, value in ready.items() if key != "ModelName"} == request
