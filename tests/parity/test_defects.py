"""Defects of the AWS CDK's SageMaker library (2.275.0-alpha.0) in autoscaling: ours does right.

The numbers are those of ``docs/cdk-parity.md``; defects of models, images and variants are shown in ``tests/spec/in_dags/test_cdk_defects.py``.
"""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    ConfigureAutoscalingOperator,
    InstanceProductionVariant,
    InvocationsScaling,
    ModelHostingTaskGroup,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import (
    IMAGE,
    ROLE,
    autoscaling_client,
    make_model,
    operations,
    run_task,
    task_id,
)
from tests.parity.conftest import calls_made, run_dag
from tests.parity.examples import VARIANT, endpoint_of

BURSTABLE = r"burstable instance_type 'ml.t2.medium'"


@pytest.fixture
def scaling(aws: LocalAws) -> Any:
    """Return the client of Application Auto Scaling."""
    return autoscaling_client()


def scaled(endpoint: Any, variant: str = VARIANT, *, rate: float = 30) -> None:
    ConfigureAutoscalingOperator(
        task_id=task_id("scaling"),
        endpoint_name=endpoint,
        variant_name=variant,
        max_capacity=3,
        policies=[InvocationsScaling(max_requests_per_second=rate)],
    )


def test_1_the_guides_example_names_the_instance_type_that_cannot_be_scaled(
    aws: LocalAws, scaling: Any, dag: DAG
) -> None:
    """The guide's example of autoscaling leaves the instance type to its default, which is burstable: AWS scales no such variant."""
    make_model(aws)
    scaled(endpoint_of(InstanceProductionVariant(model_name="model", variant_name=VARIANT)))
    with calls_made(aws) as calls, pytest.raises(InvalidSpecError, match=BURSTABLE):
        run_dag(dag)
    assert [call.operation for call in calls] == [
        "sagemaker:CreateEndpointConfig",
        "sagemaker:CreateEndpoint",
    ]
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []


def test_1_the_task_group_says_so_while_the_dag_file_is_parsed(dag: DAG) -> None:
    with pytest.raises(InvalidSpecError, match=BURSTABLE):
        ModelHostingTaskGroup(
            endpoint_name="Endpoint",
            models={"Model": [{"Image": IMAGE}]},
            execution_role=ROLE,
            production_variants=[InstanceProductionVariant(model_name="Model", variant_name=VARIANT)],
            scaling={
                VARIANT: {"max_capacity": 3, "policies": [InvocationsScaling(max_requests_per_second=30)]}
            },
        )


def two_scaled_variants(aws: LocalAws) -> None:
    make_model(aws)
    endpoint = endpoint_of(
        *(
            InstanceProductionVariant(model_name="model", variant_name=name, instance_type="ml.m5.large")
            for name in ("one", "two")
        )
    )
    scaled(endpoint, "one", rate=10)
    scaled(endpoint, "two", rate=20)


def test_2_two_variants_of_one_endpoint_are_scaled_each_by_its_own_policy(
    aws: LocalAws, scaling: Any, dag: DAG
) -> None:
    two_scaled_variants(aws)
    run_dag(dag)
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert {
        policy["ResourceId"]: policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
        for policy in policies
    } == {"endpoint/Endpoint/variant/one": 300, "endpoint/Endpoint/variant/two": 600}


def test_12_the_same_tasks_run_again_and_again(aws: LocalAws, scaling: Any, dag: DAG) -> None:
    """In the CDK, scaling can be asked for once on a variant, and a variant that is looked up again fails in another way."""
    two_scaled_variants(aws)
    first = run_dag(dag)
    aws.clear_requests()
    again = run_dag(dag)
    assert operations(aws, mutating=True) == []
    assert [ran.value for ran in again.values()] == [ran.value for ran in first.values()]


def test_12_another_task_may_scale_a_variant_that_is_scaled(aws: LocalAws, scaling: Any, dag: DAG) -> None:
    two_scaled_variants(aws)
    run_dag(dag)
    task = ConfigureAutoscalingOperator(
        task_id=task_id("scaling"), endpoint_name="Endpoint", variant_name="one", max_capacity=9
    )
    assert run_task(task).value == "endpoint/Endpoint/variant/one"
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert {target["ResourceId"]: target["MaxCapacity"] for target in targets} == {
        "endpoint/Endpoint/variant/one": 9,
        "endpoint/Endpoint/variant/two": 3,
    }
