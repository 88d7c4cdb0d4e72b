"""DeleteInferenceComponentOperator, and DeleteEndpointOperator on a host: adapters before bases, components before endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import DeleteEndpointOperator, DeleteInferenceComponentOperator
from airflow_sm_hosting.exceptions import ConflictError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import OURS
from tests.operators.components import make_component, make_host, make_models
from tests.operators.conftest import (
    answering,
    make_model,
    operations,
    outcome,
    refusal,
    sagemaker_client,
    sent,
    settled_component,
    task_id,
)

pytestmark = pytest.mark.usefixtures("dag")


def delete(name: str = "churn", **options: Any) -> DeleteInferenceComponentOperator:
    return DeleteInferenceComponentOperator(
        **{
            "task_id": task_id("delete"),
            "inference_component_name": name,
            "poll_interval": 0.1,
            "timeout": 60,
            **options,
        }
    )


def delete_host(**options: Any) -> DeleteEndpointOperator:
    return DeleteEndpointOperator(
        **{"task_id": task_id("delete"), "endpoint_name": "host", "poll_interval": 0.1, **options}
    )


@pytest.fixture
def host(aws: LocalAws) -> LocalAws:
    """A host with a component."""
    make_models(aws, "model", "newer")
    make_host(aws)
    make_component(aws)
    aws.clear_requests()
    return aws


def make_adapter(aws: LocalAws, name: str = "adapter", tags: dict[str, str] = OURS) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="adapter.tar.gz", Body=b"adapter")
    aws.client("sagemaker").create_inference_component(
        InferenceComponentName=name,
        EndpointName="host",
        Specification={
            "BaseInferenceComponentName": "churn",
            "Container": {"ArtifactUrl": "s3://models/adapter.tar.gz"},
        },
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    settled_component(aws, name)


def left(aws: LocalAws) -> list[str]:
    rows = aws.client("sagemaker").list_inference_components()["InferenceComponents"]
    return sorted(row["InferenceComponentName"] for row in rows)


def test_a_component_is_deleted_and_its_endpoint_stays(host: LocalAws) -> None:
    assert outcome(delete()).error is None
    assert left(host) == []
    assert len(host.client("sagemaker").list_endpoints()["Endpoints"]) == 1
    host.clear_requests()
    assert outcome(delete()).error is None
    assert operations(host) == ["DescribeInferenceComponent"]


def test_adapters_are_deleted_before_their_base(host: LocalAws) -> None:
    make_adapter(host)
    with sent(sagemaker_client(), "DeleteInferenceComponent") as deleted:
        assert outcome(delete()).error is None
    assert [one["InferenceComponentName"] for one in deleted] == ["adapter", "churn"]
    assert left(host) == []


def test_a_base_with_adapters_is_refused_on_request(host: LocalAws) -> None:
    make_adapter(host)
    end = outcome(delete(delete_adapters=False))
    assert isinstance(end.error, ConflictError)
    assert "has the adapters adapter" in str(end.error)
    assert left(host) == ["adapter", "churn"]
    assert outcome(delete("adapter", delete_adapters=False)).error is None
    assert left(host) == ["churn"]


@pytest.mark.parametrize("whose", ["churn", "adapter"])
def test_what_is_not_ours_is_only_deleted_when_adopted(aws: LocalAws, whose: str) -> None:
    make_model(aws)
    make_host(aws)
    make_component(aws, tags={} if whose == "churn" else OURS)
    make_adapter(aws, tags={} if whose == "adapter" else OURS)
    end = outcome(delete())
    assert isinstance(end.error, ConflictError)
    assert f"Inference component {whose}: without this package's tags" in str(end.error)
    assert left(aws) == ["adapter", "churn"]
    assert outcome(delete(adopt=True)).error is None
    assert left(aws) == []


def test_the_scaling_of_copies_is_deregistered_first(host: LocalAws) -> None:
    scaling = host.client("application-autoscaling")
    scaling.register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="inference-component/churn",
        ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
        MinCapacity=1,
        MaxCapacity=4,
    )
    host.clear_requests()
    assert outcome(delete()).error is None
    assert operations(host, mutating=True) == ["DeregisterScalableTarget", "DeleteInferenceComponent"]
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []


@pytest.mark.slow
def test_a_change_of_copies_meanwhile_is_waited_for(host: LocalAws) -> None:
    busy = refusal(
        "ValidationException",
        'Cannot delete inference component "arn:churn" while it is in state UPDATE_RC_IN_PROGRESS.',
    )
    with answering(sagemaker_client(), "DeleteInferenceComponent", busy, None):
        assert outcome(delete()).error is None
    assert left(host) == []


@pytest.mark.slow
def test_a_change_in_progress_is_waited_for(slow_aws: LocalAws) -> None:
    make_model(slow_aws)
    make_host(slow_aws)
    make_component(slow_aws)
    slow_aws.client("sagemaker").update_inference_component_runtime_config(
        InferenceComponentName="churn", DesiredRuntimeConfig={"CopyCount": 2}
    )
    assert outcome(delete()).error is None
    assert left(slow_aws) == []


# The endpoint.


def test_an_endpoint_with_components_is_refused(host: LocalAws) -> None:
    end = outcome(delete_host())
    assert isinstance(end.error, ConflictError)
    assert "has the inference components churn" in str(end.error)
    assert "delete_inference_components=True" in str(end.error)
    assert operations(host, mutating=True) == []


def test_components_are_deleted_before_their_endpoint_and_models_after_it(host: LocalAws) -> None:
    make_adapter(host)
    host.clear_requests()
    end = outcome(
        delete_host(delete_inference_components=True, delete_models=True, delete_endpoint_config=True)
    )
    assert end.error is None
    assert operations(host, mutating=True) == [
        "DeleteInferenceComponent",
        "DeleteInferenceComponent",
        "DeleteEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
    ]
    models = host.client("sagemaker").list_models()["Models"]
    assert [model["ModelName"] for model in models] == ["newer"]


def test_a_model_that_a_component_elsewhere_serves_is_kept(host: LocalAws) -> None:
    make_host(host, "other")
    host.client("sagemaker").create_inference_component(
        InferenceComponentName="elsewhere",
        EndpointName="other",
        VariantName="main",
        Specification={
            "ModelName": "model",
            "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128},
        },
        RuntimeConfig={"CopyCount": 1},
    )
    settled_component(host, "elsewhere")
    assert outcome(delete_host(delete_inference_components=True, delete_models=True)).error is None
    models = host.client("sagemaker").list_models()["Models"]
    assert sorted(model["ModelName"] for model in models) == ["model", "newer"]


def test_an_endpoint_with_models_does_not_list_components(aws: LocalAws) -> None:
    from tests.operators.conftest import make_config, make_endpoint

    make_model(aws)
    make_config(aws, "host")
    make_endpoint(aws, "host", "host")
    aws.clear_requests()
    assert outcome(delete_host()).error is None
    assert "ListInferenceComponents" not in operations(aws)
