"""Every rule of models, images, data, variants, endpoint configs and endpoints: its message, when it comes, and that AWS was not asked.

Each row is a value that can never work. As a literal it is an error while the DAG file is parsed; the same value out of an upstream task
is one in ``execute``, before the first AWS call. The rules are those of the AWS CDK's SageMaker library and the limits of botocore's model;
those of autoscaling and alarms have tables of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from airflow.sdk import DAG
from botocore.client import BaseClient

from airflow_sm_hosting import (
    AllAtOnce,
    BuildImageOperator,
    Canary,
    ContainerDefinition,
    ContainerImage,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    DeleteEndpointOperator,
    InstanceProductionVariant,
    InvokeEndpointOperator,
    Linear,
    ModelData,
    ModelHostingTaskGroup,
    Rolling,
    ServerlessProductionVariant,
    UploadModelDataOperator,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.sensors import EndpointInServiceSensor
from tests.operators.conftest import ROLE, deploy, outcome, task_id

IMAGE = "churn:1"
SECRET = "hunter2-and-more"


class Upstream:
    """Stands for the output of another task, which needs an API server; it is resolved as Airflow resolves one."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def iter_references(self) -> Any:
        return iter(())

    def resolve(self, context: Any) -> Any:
        return self.value


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The AWS calls that were begun; none gets out: that there is no call can only be seen where calls are made."""
    begun: list[str] = []

    def refuse(self: Any, operation: str, parameters: Any) -> Any:
        begun.append(operation)
        raise AssertionError(f"{operation} was called")

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://?region_name=us-east-1")
    with DAG("checks", schedule=None):
        yield begun


# What is given, with a value in one place of it.


def model(**options: Any) -> Any:
    known = {"model_name": "churn", "containers": [ContainerDefinition(image=IMAGE)], "execution_role": ROLE}
    return CreateModelOperator(task_id=task_id(), **{**known, **options})


def container(**options: Any) -> Any:
    return model(containers=[ContainerDefinition(**{"image": IMAGE, **options})])


def plain_container(**members: Any) -> Any:
    return model(containers=[{"Image": IMAGE, **members}])


def config(*variants: Any, **options: Any) -> Any:
    known = {"endpoint_config_name": "churn", "production_variants": list(variants) or [instance()]}
    return CreateEndpointConfigOperator(task_id=task_id(), **{**known, **options})


def instance(name: Any = "main", **options: Any) -> Any:
    return InstanceProductionVariant(
        **{"model_name": "churn", "variant_name": name, "instance_type": "ml.m5.large", **options}
    )


def serverless(name: Any = "main", **options: Any) -> Any:
    known = {"model_name": "churn", "variant_name": name, "max_concurrency": 5, "memory_size_in_mb": 1024}
    return ServerlessProductionVariant(**{**known, **options})


def plain(**members: Any) -> dict[str, Any]:
    return {
        "VariantName": "main",
        "ModelName": "churn",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        **members,
    }


def invoke(**options: Any) -> Any:
    return InvokeEndpointOperator(task_id=task_id(), **{"endpoint_name": "churn", "body": "x", **options})


def delete(**options: Any) -> Any:
    return DeleteEndpointOperator(task_id=task_id(), **{"endpoint_name": "churn", **options})


def sensor(**options: Any) -> Any:
    return EndpointInServiceSensor(task_id=task_id(), **{"endpoint_name": "churn", **options})


class Rule(NamedTuple):
    """A value that can never work.

    :param make: Makes the task with the value in its place.
    :param bad: The value.
    :param words: What the message must say, in both cases.
    :param late: Whether the value matters; without, the member is refused while the DAG file is parsed, whatever it will be.
    """

    make: Callable[[Any], Any]
    bad: Any
    words: str
    late: bool = True


def arn(kind: str, name: str = "churn") -> str:
    return f"arn:aws:sagemaker:us-east-1:123456789012:{kind}/{name}"


def names(make: Callable[[Any], Any], field: str) -> list[Rule]:
    """Names of 63 letters, digits and hyphens; more of them are tried in ``test_literal_and_rendered_values``."""
    bad = ["", "a" * 64, "a_b"]
    return [Rule(make, value, field) for value in bad]


def resources(make: Callable[[Any], Any], field: str, kind: str) -> list[Rule]:
    """What exists already is given by name, or by the ARN of its kind."""
    other = "model" if kind != "model" else "endpoint"
    bad = [
        arn(other),
        arn(kind, "a_b"),
        arn(kind, ""),
        f"arn:aws:s3:::{kind}/churn",
        arn(kind).replace("123456789012", "12"),
    ]
    return [*names(make, field), *(Rule(make, value, field) for value in bad)]


def whole_numbers(make: Callable[[Any], Any], member: str, low: int, high: int | None) -> list[Rule]:
    bad: list[Any] = [low - 1, low + 0.5, True, float("nan"), *([high + 1] if high else [])]
    return [Rule(make, value, member) for value in bad]


RULES: dict[str, list[Rule]] = {
    # Models.
    "no container": [Rule(lambda v: model(containers=v), [], "containers has 0 entries; allowed: 1, or 2 to 15")],
    "16 containers": [Rule(lambda v: model(containers=v), [{"Image": IMAGE}] * 16, "containers has 16 entries")],
    "no list": [Rule(lambda v: model(containers=v), bad, "containers is a") for bad in ("churn:1", {"Image": IMAGE}, 5)],
    "model name": names(lambda v: model(model_name=v), "model_name"),
    "role": [
        Rule(lambda v: model(execution_role=v), bad, "execution_role is")
        for bad in (7, "a b", "r" * 65, "arn:aws:iam::12:role/x", "arn:aws:iam::123456789012:user/x", "arn:aws:s3:::x")
    ],
    "groups without a VPC": [
        Rule(lambda v: model(security_group_ids=v), bad, "security_group_ids is given without subnets") for bad in (["sg-1"], [])
    ],
    "subnets without groups": [Rule(lambda v: model(subnets=v), ["subnet-1"], "subnets is given without security_group_ids")],
    "17 subnets": [
        Rule(lambda v: model(subnets=v, security_group_ids=["sg-1"]), [f"subnet-{n}" for n in range(17)], "subnets has 17 entries; allowed: 1 to 16")
    ],
    "6 security groups": [
        Rule(lambda v: model(subnets=["subnet-1"], security_group_ids=v), [f"sg-{n}" for n in range(6)], "security_group_ids has 6 entries; allowed: 1 to 5")
    ],
    "no list of groups": [
        Rule(lambda v: model(subnets=["subnet-1"], security_group_ids=v), bad, "security_group_ids is a") for bad in ("sg-1", {"a": 1}, 5)
    ],
    "no subnet ids": [
        Rule(lambda v: model(subnets=v, security_group_ids=["sg-1"]), bad, r"subnets\[?")
        for bad in (["sub net"], [""], ["s" * 33], [7], ["subnet-1", "subnet-1"], "subnet-1")
    ],
    "tags": [
        Rule(make, bad, words)
        for make in (lambda v: model(tags=v), lambda v: config(tags=v), lambda v: deploy("churn-1", tags=v))
        for bad, words in (
            (5, "tags is a int"),
            ("team", "tags is a str"),
            ({f"k{n}": "v" for n in range(51)}, "tags has 51 tags"),
            ({"aws:team": "a"}, "do not begin with 'aws:'"),
            ({"AWS:team": "a"}, "do not begin with 'aws:'"),
            ({"sm-hosting:managed-by": "me"}, "'sm-hosting:'"),
            ({"": "v"}, "tags is ''"),
            ({"k" * 129: "v"}, "1 to 128"),
            ({"k#": "v"}, "tags is 'k#'"),
            ({5: "v"}, "tags is 5"),
            ({"k": "v" * 257}, "256 letters"),
            ({"k": "v;"}, r"tags\['k'\] is 'v;'"),
            ({"k": None}, r"tags\['k'\] is a NoneType"),
            ({"k": ["v"]}, r"tags\['k'\] is a list"),
            ([{"Key": "k"}], "tags is"),
            ([{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}], "has 'k' twice"),
        )
    ],
    # 50 tags a resource, two of which are ours.
    "49 tags": [Rule(make, {f"k{n}": "v" for n in range(49)}, "tags has 49 tags; allowed: 48") for make in (lambda v: model(tags=v), lambda v: config(tags=v))],
    "no image": [Rule(lambda v: container(image=v), bad, "(image|Image)") for bad in ("", "a b", "i" * 256, 5, {"a": 1})],
    "both kinds of data": [
        Rule(lambda v: plain_container(ModelDataUrl="s3://models/a", ModelDataSource=v), {"S3DataSource": {}}, "both ModelDataUrl and ModelDataSource", late=False)
    ],
    "model data": [
        Rule(lambda v: container(model_data=v), bad, "(model_data|ModelDataUrl)")
        for bad in ("models/a.tar.gz", "http://models/a", "s3:///a", "s3://" + "b" * 1020, 5)
    ],
    "a presigned URL": [
        Rule(lambda v: container(model_data=v), f"https://models.s3.amazonaws.com/a.tar.gz?X-Amz-Signature={SECRET}", r"a.tar.gz\?\*\*\*.*without a query")
    ],
    "a prefix without slash": [
        Rule(lambda v: container(ModelDataSource={"S3DataSource": {"S3Uri": v, "S3DataType": "S3Prefix", "CompressionType": "None"}}), "s3://models/a", "ends with '/'")
    ],
    "a multi-model source": [
        Rule(lambda v: plain_container(Mode="MultiModel", ModelDataSource=v), {"S3DataSource": {}}, "ModelDataSource and Mode 'MultiModel'", late=False)
    ],
    "6 additional sources": [  # type: ignore[var-annotated]
        Rule(lambda v: container(AdditionalModelDataSources=v), bad, "AdditionalModelDataSources is a") for bad in ([{}] * 6, "s3://models/", {})
    ],
    "structures": [
        Rule(lambda v, member=member: container(**{member: v}), "x", f"{member} is a str") for member in ("ImageConfig", "MultiModelConfig", "ModelDataSource")
    ],
    "environment": [
        Rule(lambda v: container(environment=v), bad, words)
        for bad, words in (
            ({f"K{n}": "v" for n in range(101)}, "101 entries; allowed: 100"),
            ({"1K": SECRET}, "is '1K'"),
            ({"K-1": SECRET}, "is 'K-1'"),
            ({"K" * 1025: SECRET}, "1024 at most"),
            ({"K": SECRET * 100}, "has 1600 characters; allowed: 1024"),
            ({"K": [SECRET]}, "is a list; allowed: a string"),
            ({f"K{n}": "v" * 1020 for n in range(33)}, "bytes in total; allowed: 32768"),
        )
    ],
    "hostname": names(lambda v: container(container_hostname=v), "(container_hostname|ContainerHostname)"),
    "mode": [Rule(lambda v: container(mode=v), "Multi", "'SingleModel', 'MultiModel'")],
    "hostnames on some": [
        Rule(lambda v: model(containers=v), [{"Image": IMAGE, "ContainerHostname": "a"}, {"Image": IMAGE}], r"ContainerHostname is missing on \[1\]")
    ],
    "hostnames twice": [
        Rule(lambda v: model(containers=v), [{"Image": IMAGE, "ContainerHostname": "a"}] * 2, "ContainerHostname has 'a' twice")
    ],
    "direct without hostnames": [
        Rule(lambda v: model(containers=[ContainerDefinition(image=IMAGE)] * 2, inference_execution_mode=v), "Direct", "needs a ContainerHostname on each")
    ],
    "execution mode": [Rule(lambda v: model(inference_execution_mode=v), "Parallel", "'Serial', 'Direct'")],
    "isolation": [Rule(lambda v: model(enable_network_isolation=v), bad, "enable_network_isolation is") for bad in ("maybe", 1)],
    # Endpoint configs.
    "no variant": [Rule(lambda v: config(production_variants=v), [], "production_variants has 0 entries; allowed: 1 to 10")],
    "11 variants": [
        Rule(lambda v: config(production_variants=v), [plain(VariantName=f"v{n}") for n in range(11)], "production_variants has 11 entries")
    ],
    "one name twice": [Rule(lambda v: config(instance("a"), {**instance("b"), "VariantName": v}), "a", "VariantName has 'a' twice")],
    "both kinds of variant": [Rule(lambda v: config(production_variants=v), [serverless("a"), plain(VariantName="b")], "a serverless variant among 2")],
    "two serverless variants": [Rule(lambda v: config(production_variants=v), [serverless("a"), serverless("b")], "a serverless variant among 2")],
    "no shadow variant": [Rule(lambda v: config(shadow_production_variants=v), [], "shadow_production_variants has 0 entries")],
    "two shadow variants": [
        Rule(lambda v: config(shadow_production_variants=v), [plain(VariantName=n) for n in "ab"], "exactly one of each")
    ],
    "a serverless shadow": [Rule(lambda v: config(shadow_production_variants=v), [serverless("b")], "shadow_production_variants has a serverless variant")],
    "config name": names(lambda v: config(endpoint_config_name=v), "endpoint_config_name"),
    "variant name": [
        *names(lambda v: config(instance(v)), "(variant_name|VariantName)"),
        *names(lambda v: config(plain(VariantName=v)), "VariantName"),
    ],
    "model of a variant": [
        *resources(lambda v: config(instance(model_name=v)), "(model_name|ModelName)", "model"),
        *resources(lambda v: config(serverless(model_name=v)), "(model_name|ModelName)", "model"),
        *resources(lambda v: config(plain(ModelName=v)), "ModelName", "model"),
    ],
    "instance type": [
        Rule(make, bad, "(instance_type|InstanceType) is .*ml.m5.large")
        for make in (lambda v: config(instance(instance_type=v)), lambda v: config(plain(InstanceType=v)))
        for bad in ("m5.large", "ml.m5", "ml.M5.large", "large", "", 5)
    ],
    "accelerator": [
        Rule(make, "ml.eia2.medium", "AcceleratorType.*ended Elastic Inference", late=False)
        for make in (lambda v: config(instance(AcceleratorType=v)), lambda v: config(plain(AcceleratorType=v)))
    ],
    "instance count": [
        *whole_numbers(lambda v: config(instance(initial_instance_count=v)), "(initial_instance_count|InitialInstanceCount)", 1, None),
        *whole_numbers(lambda v: config(plain(InitialInstanceCount=v)), "InitialInstanceCount", 1, None),
    ],
    "weight": [  # type: ignore[var-annotated]
        Rule(make, bad, "(initial_variant_weight|InitialVariantWeight)")
        for make in (lambda v: config(instance(initial_variant_weight=v)), lambda v: config(serverless(initial_variant_weight=v)), lambda v: config(plain(InitialVariantWeight=v)))
        for bad in (-0.1, float("nan"), float("inf"), True, [])
    ],
    "startup timeout": [
        *whole_numbers(lambda v: config(instance(container_startup_health_check_timeout=v)), "(container_startup_health_check_timeout|ContainerStartup)", 60, 3600),
        *whole_numbers(lambda v: config(plain(ContainerStartupHealthCheckTimeoutInSeconds=v)), "ContainerStartup", 60, 3600),
    ],
    "download timeout": [
        *whole_numbers(lambda v: config(instance(model_data_download_timeout=v)), "(model_data_download_timeout|ModelDataDownload)", 60, 3600),
        *whole_numbers(lambda v: config(plain(ModelDataDownloadTimeoutInSeconds=v)), "ModelDataDownload", 60, 3600),
    ],
    "volume": whole_numbers(lambda v: config(instance(volume_size_in_gb=v)), "(volume_size_in_gb|VolumeSizeInGB)", 1, 512),
    "provisioning timeout": whole_numbers(lambda v: config(plain(VariantInstanceProvisionTimeoutInSeconds=v)), "VariantInstanceProvision", 300, 3600),
    "instance pools": [
        Rule(lambda v: config(instance(instance_type=None, InstancePools=v)), bad, "InstancePools")
        for bad in ([], [{"InstanceType": "ml.m5.large", "Priority": 1}] * 6, "ml.m5.large", [{"InstanceType": "m5.large", "Priority": 1}], ["ml.m5.large"])
    ],
    "max concurrency": whole_numbers(lambda v: config(serverless(max_concurrency=v)), "(max_concurrency|MaxConcurrency)", 1, 200),
    "memory": [
        Rule(make, bad, "(memory_size_in_mb|MemorySizeInMB).* 1024, 2048, 3072, 4096, 5120, 6144")
        for make in (
            lambda v: config(serverless(memory_size_in_mb=v)),
            lambda v: config({"VariantName": "main", "ModelName": "churn", "ServerlessConfig": {"MaxConcurrency": 5, "MemorySizeInMB": v}}),
        )
        for bad in (1000, 7168, 1024.0, True)
    ],
    "provisioned concurrency": [
        *whole_numbers(lambda v: config(serverless(provisioned_concurrency=v)), "(provisioned_concurrency|ProvisionedConcurrency)", 1, 5),
        *whole_numbers(lambda v: config(serverless(max_concurrency=200, provisioned_concurrency=v)), "(provisioned_concurrency|ProvisionedConcurrency)", 1, 200),
    ],
    "not for serverless": [
        Rule(lambda v, option=option: config(serverless(), **{option: v}), bad, f"{member} is given with a serverless variant")
        for option, member, bad in (
            ("data_capture_config", "DataCaptureConfig", {"EnableCapture": True}),
            ("async_inference_config", "AsyncInferenceConfig", {"OutputConfig": {}}),
            ("explainer_config", "ExplainerConfig", {"ClarifyExplainerConfig": {}}),
            ("extra_members", "VpcConfig", {"VpcConfig": {"Subnets": ["s"], "SecurityGroupIds": ["g"]}}),
            ("extra_members", "EnableNetworkIsolation", {"EnableNetworkIsolation": True}),
        )
    ],
    "instance fields of serverless": [
        Rule(lambda v, member=member: config({**serverless(), member: v}), bad, f"ServerlessConfig and {member}", late=False)
        for member, bad in (("InstanceType", "ml.m5.large"), ("InitialInstanceCount", 1), ("VolumeSizeInGB", 2), ("InferenceAmiVersion", "x"))
    ],
    "no structure": [
        Rule(lambda v, option=option: config(**{option: v}), bad, f"{option} is a")
        for option in ("data_capture_config", "async_inference_config", "explainer_config", "extra_members")
        for bad in ("x", 5, ["x"], True)
    ],
    "kms key": [
        Rule(lambda v: config(kms_key_id=v), bad, "kms_key_id is")
        for bad in ("", "my-key", "alias/", "a b", 5, "arn:aws:s3:::key", "arn:aws:kms:us-east-1:123456789012:grant/x")
    ],
    "a member that has a parameter": [
        Rule(lambda v: config(extra_members=v), {"KmsKeyId": "alias/x"}, "KmsKeyId is given in AWS's spelling; allowed: kms_key_id=")
    ],
    # Endpoints.
    "endpoint": [
        rule
        for make in (partial(deploy, "churn-1"), invoke, delete, sensor)
        for rule in resources(lambda v, make=make: make(endpoint_name=v), "endpoint_name", "endpoint")
    ],
    "config of an endpoint": resources(lambda v: deploy(v), "endpoint_config_name", "endpoint-config"),
    "config that is waited for": [
        Rule(lambda v: sensor(endpoint_config_name=v), bad, "endpoint_config_name") for bad in ("a_b", "a" * 64, arn("endpoint"))
    ],
    "rollback alarms": [
        Rule(lambda v: deploy("churn-1", auto_rollback_alarms=v), bad, "auto_rollback_alarms")
        for bad in ("alarm", [f"alarm-{n}" for n in range(11)], 5, [5], [""], ["a" * 256])
    ],
    "time budget": [Rule(lambda v: deploy("churn-1", timeout=v), bad, "timeout is") for bad in (0, 0.5, -1, True, float("nan"), 15 * 24 * 3600)],
    "time budget of deleting": [Rule(lambda v: delete(timeout=v), bad, "timeout is") for bad in (0, 0.5, -1, True, float("nan"))],
    "target variant": names(lambda v: invoke(target_variant=v), "target_variant")[1:],
}  # fmt: skip


@pytest.mark.parametrize("title", RULES)
def test_a_literal_is_refused_while_the_dag_file_is_parsed(title: str, calls: list[str]) -> None:
    for rule in RULES[title]:
        with pytest.raises(InvalidSpecError, match=f"(?s){rule.words}") as caught:
            rule.make(rule.bad)
        assert SECRET not in str(caught.value)
    assert calls == []


@pytest.mark.parametrize("title", RULES)
def test_the_same_value_from_upstream_is_refused_before_the_first_call(title: str, calls: list[str]) -> None:
    for rule in RULES[title]:
        if not rule.late:
            with pytest.raises(InvalidSpecError, match=rule.words):
                rule.make(Upstream(rule.bad))
            continue
        end = outcome(rule.make(Upstream(rule.bad)))
        assert isinstance(end.error, InvalidSpecError), (rule.bad, end.error)
        assert re.search(rule.words, str(end.error), re.DOTALL), (rule.words, end.error)
        assert SECRET not in str(end.error)
    assert calls == []


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda v: model(model_name=v), "a_b"),
        (lambda v: container(image=v), "a b"),
        (lambda v: config(instance(initial_instance_count=v)), "0"),
        (lambda v: config(instance(initial_variant_weight=v)), "-1"),
        (lambda v: config(instance(initial_variant_weight=v)), "nan"),
        (lambda v: config(instance(container_startup_health_check_timeout=v)), "59"),
        (lambda v: config(instance(container_startup_health_check_timeout=v)), "90.5"),
        (lambda v: config(serverless(memory_size_in_mb=v)), "1000"),
        (lambda v: config(serverless(max_concurrency=v)), "201"),
        (lambda v: config(serverless(provisioned_concurrency=v)), "6"),
        (lambda v: config(kms_key_id=v), "my-key"),
        (lambda v: model(execution_role=v), "arn:aws:iam::12:role/x"),
        (lambda v: deploy("churn-1", endpoint_name=v), arn("model")),
        (lambda v: deploy("churn-1", timeout=v), "0.5"),
        (lambda v: deploy("churn-1", auto_rollback_alarms=v), "alarm"),
        (lambda v: deploy("churn-1", tags=v), "team"),
        (lambda v: sensor(endpoint_name=v), "a_b"),
        (lambda v: delete(timeout=v), "soon"),
    ],
)  # fmt: skip
def test_what_jinja_makes_is_refused_before_the_first_call(make: Any, text: str, calls: list[str]) -> None:
    """Jinja makes strings, also of numbers."""
    end = outcome(make("{{ given }}"), given=text)
    assert isinstance(end.error, InvalidSpecError), repr(end.error)
    assert calls == []


# Rules that hold between what is written, and have no value to come late.


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: instance(instance_type=None), "instance_type is None; allowed: an instance type"),
        (lambda: instance(InstancePools=[{"InstanceType": "ml.m5.large", "Priority": 1}]), "instance_type is 'ml.m5.large'; allowed: None with InstancePools"),
        (lambda: instance(ModelName="x"), "ModelName is given in AWS's spelling; allowed: model_name="),
        (lambda: instance(VariantName="x"), "VariantName is given in AWS's spelling; allowed: variant_name="),
        (lambda: instance(instnace_type="x"), "has no parameter 'instnace_type'"),
        (lambda: ContainerDefinition(image=IMAGE, Image="x"), "Image is given in AWS's spelling; allowed: image="),
        (lambda: ContainerDefinition(image=None), "image is None"),
        (lambda: ContainerDefinition(image=IMAGE, model_data={"S3DataSource": {}}, ModelDataSource={}), "model_data and ModelDataSource"),
        (lambda: ContainerDefinition(image=IMAGE, model_data={"S3Uri": "s3://a/b"}), "model_data is"),
        (lambda: ContainerImage.from_ecr_repository("churn", region_name="Frankfurt"), "region_name is 'Frankfurt'"),
        (lambda: ContainerImage.from_ecr_repository("churn", digest="latest"), "digest is 'latest'"),
        (lambda: ContainerImage.from_dlc("pytorch-inference", "a b"), "tag is 'a b'"),
        (lambda: ModelData.from_bucket("models", "churn/"), r"use ModelData.from_prefix"),
        (lambda: config(extra_members={"endpoint_config_name": "x"}), "has no parameter 'endpoint_config_name'"),
        (lambda: Linear(step_size="25%", wait_interval=600, maximum_execution_timeout=2400), "4 x 600 s"),
        (lambda: Canary(size="51%", wait_interval=0), "'1%' to '50%'|1% to 50%"),
        (lambda: Rolling(maximum_batch_size="4%", wait_interval=0), "5% to 50%"),
        (lambda: AllAtOnce(termination_wait=3601), "0 to 3600"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused_where_it_is_written(
    make: Any, words: str, calls: list[str]
) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        make()
    assert calls == []


@pytest.mark.parametrize(
    ("containers", "options", "words"),
    [
        ([ContainerDefinition(image=IMAGE)] * 2, {}, "more than one container"),
        ([ContainerDefinition(image=IMAGE)], {"subnets": ["s"], "security_group_ids": ["g"]}, "subnets"),
        ([ContainerDefinition(image=IMAGE)], {"enable_network_isolation": True}, "network isolation"),
        ([ContainerDefinition(image=IMAGE, mode="MultiModel", model_data="s3://models/a/")], {}, "Mode 'MultiModel'"),
        ([ContainerDefinition(image=IMAGE, ImageConfig={"RepositoryAccessMode": "Vpc"})], {"subnets": ["subnet-a"], "security_group_ids": ["sg-a"]}, "subnets .a VPC., ImageConfig .a private registry"),
        ([ContainerDefinition(image=IMAGE, model_data=ModelData.from_prefix("models", "a"))], {}, "uncompressed model data"),
        ([ContainerDefinition(image=IMAGE, model_data="s3://models/a/")], {}, "uncompressed model data"),
    ],
)  # fmt: skip
def test_a_model_that_a_serverless_variant_cannot_serve_is_refused(
    containers: Any, options: Any, words: str, calls: list[str]
) -> None:
    with pytest.raises(InvalidSpecError, match=rf"models\['churn'\] has {words}"):
        ModelHostingTaskGroup(
            endpoint_name="churn",
            models={"churn": containers},
            model_options=options,
            production_variants=[serverless()],
        )
    ModelHostingTaskGroup(
        group_id="instances",
        endpoint_name="churn",
        models={"churn": containers},
        model_options=options,
        production_variants=[instance()],
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: UploadModelDataOperator(task_id="t", path=f"{path}/gone.tar.gz", bucket_name="models"), "gone.tar.gz"),
        (lambda path: UploadModelDataOperator(task_id="t", path=f"{path}/model.zip", bucket_name="models"), "tar.gz"),
        (lambda path: BuildImageOperator(task_id="t", directory=f"{path}/gone", repository_name="churn"), "gone"),
        (lambda path: BuildImageOperator(task_id="t", directory=str(path), repository_name="churn"), "Dockerfile"),
    ],
)  # fmt: skip
def test_files_are_looked_for_where_the_task_runs_before_the_first_call(
    make: Any, words: str, tmp_path: Path, calls: list[str]
) -> None:
    """The DAG processor may lack them, so that they can be no error at parse time."""
    (tmp_path / "model.zip").write_bytes(b"PK")
    end = outcome(make(tmp_path))
    assert isinstance(end.error, InvalidSpecError), repr(end.error)
    assert words in str(end.error)
    assert calls == []


def test_what_never_stops_working_is_taken(calls: list[str]) -> None:
    """The same makers with good values: the rows above fail for their values and nothing else."""
    pools = [{"InstanceType": "ml.m5.large", "Priority": 1, "ModelNameOverride": arn("model")}]
    variant = instance(instance_type=None, InstancePools=pools)
    assert variant["InstancePools"] == pools
    assert "InstanceType" not in variant
    config(variant, kms_key_id="alias/a")
    config(instance(arn("model").split("/")[1], model_name=arn("model")), kms_key_id="mrk-" + "0" * 32)
    config(instance("10"), instance("2"), instance("toString"))
    config(serverless(model_name=arn("model"), provisioned_concurrency=5))
    config(shadow_production_variants=[plain(VariantName="shadow")], tags={f"k{n}": "v" for n in range(48)})
    model(execution_role="team/role", subnets=["s"], security_group_ids=["g"], tags={"ключ": "значение 1"})
    deploy(
        arn("endpoint-config"),
        endpoint_name=arn("endpoint"),
        timeout=1.5,
        auto_rollback_alarms=["a"],
    )
    container(image=None, ModelPackageName="churn/1")
    container(
        mode="MultiModel", model_data="s3://models/a/", MultiModelConfig={"ModelCacheSetting": "Disabled"}
    )


def test_weights_that_are_all_zero_are_a_warning(calls: list[str]) -> None:
    """What AWS makes of a sum of 0 is not documented (ProductionVariant)."""
    with pytest.warns(UserWarning, match="every InitialVariantWeight is 0"):
        config(instance("a", initial_variant_weight=0), plain(VariantName="b", InitialVariantWeight=0.0))


def test_an_unknown_instance_type_is_a_warning_with_the_nearest_names(calls: list[str]) -> None:
    with pytest.warns(UserWarning, match=r"'ml.m55.large'.*nearest: ml.m5"):
        instance(instance_type="ml.m55.large")
