"""A model that is down at night and up in the morning: without copies, its endpoint has no instances, and costs nothing.

The model exists already, and becomes an inference component. `WorkingHours` is a pair of scheduled actions on its copies: in the morning they
are as many as by day, at night there are none. By day the copies follow the requests.
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, Param

from airflow_sm_hosting import (
    ComputeRequirements,
    ConfigureAutoscalingOperator,
    CreateEndpointConfigOperator,
    DeployEndpointOperator,
    DeployInferenceComponentOperator,
    InferenceComponentSpecification,
    InstanceProductionVariant,
    InvocationsScaling,
    WorkingHours,
)

with DAG(
    "nightly_down",
    description="Copies by day, and none at night.",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    tags=["sm-hosting", "example"],
    params={
        "endpoint_name": Param("nightly-down", type="string", title="Endpoint"),
        "component": Param("nightly-down-model", type="string", title="Inference component"),
        "model": Param("model-a", type="string", title="Model"),
        "execution_role": Param("SageMakerHostingRole", type="string", title="Execution role"),
        "instance_type": Param("ml.m5.large", type="string", title="Instance type"),
        "timezone": Param("Europe/Berlin", type="string", title="Time zone"),
        "days": Param("MON-FRI", type="string", title="Working days"),
        "max_copies": Param(3, type="integer", minimum=1, title="Most copies by day"),
        "poll_interval": Param(10, type="number", minimum=0.1, title="Seconds between two polls"),
    },
) as dag:
    config = CreateEndpointConfigOperator(
        task_id="create_endpoint_config",
        endpoint_config_name="{{ params.endpoint_name }}",
        production_variants=[
            InstanceProductionVariant(
                variant_name="main",
                instance_type="{{ params.instance_type }}",
                # The instances follow the copies, to zero, too.
                ManagedInstanceScaling={"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2},
            )
        ],
        execution_role="{{ params.execution_role }}",
    )
    deploy = DeployEndpointOperator(
        task_id="deploy_endpoint",
        endpoint_name="{{ params.endpoint_name }}",
        endpoint_config_name=config.output,
        poll_interval="{{ params.poll_interval }}",
    )
    component = DeployInferenceComponentOperator(
        task_id="deploy_component",
        inference_component_name="{{ params.component }}",
        endpoint_name=deploy.output,
        variant_name="main",
        specification=InferenceComponentSpecification(
            model_name="{{ params.model }}",
            requirements=ComputeRequirements(min_memory_in_mb=512),
        ),
        poll_interval="{{ params.poll_interval }}",
    )
    ConfigureAutoscalingOperator(
        task_id="working_hours",
        inference_component_name=component.output,
        min_capacity=1,
        max_capacity="{{ params.max_copies }}",
        policies=[InvocationsScaling(max_requests_per_second=10)],
        scheduled_actions=[
            WorkingHours(
                start="07:00", end="20:00", timezone="{{ params.timezone }}", days="{{ params.days }}"
            )
        ],
    )
