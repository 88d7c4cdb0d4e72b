"""An asynchronous endpoint that scales to zero, and a request that wakes it; the same model streams from a real-time endpoint.

The model exists already. `ScaleFromZero` sets up the scaling: the scalable target, target tracking, the step policy that wakes the
endpoint, and its alarm. The DAG waits until the endpoint has no instance, and then asks it something: the request waits in the queue, wakes
the endpoint, and is answered. A real-time endpoint does not scale to zero: it serves one streamed request, and is deleted.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, BaseSensorOperator, Param

from airflow_sm_hosting import (
    ConfigureAutoscalingOperator,
    CreateEndpointConfigOperator,
    DeleteEndpointOperator,
    DeployEndpointOperator,
    InstanceProductionVariant,
    InvokeEndpointOperator,
    ScaleFromZero,
)

REQUEST = {"instances": [[17.99, 10.38, 122.8]]}


class NoInstanceSensor(BaseSensorOperator):
    """Wait until the variants of an endpoint have no instance."""

    template_fields = ("endpoint_name",)

    def __init__(self, *, endpoint_name: str, **kwargs):
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name

    def poke(self, context) -> bool:
        """Look at the instance counts."""
        from airflow_sm_hosting.hooks import SageMakerHostingHook

        described = SageMakerHostingHook().describe_endpoint(self.endpoint_name)
        return not any(variant["CurrentInstanceCount"] for variant in described["ProductionVariants"])


with DAG(
    "async_from_zero",
    description="Scale an asynchronous endpoint to zero and back, and stream from a real-time one.",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    tags=["sm-hosting", "example"],
    params={
        "endpoint_name": Param("async-from-zero", type="string", maxLength=58, title="Endpoint"),
        "model": Param("model-a", type="string", title="Model"),
        "instance_type": Param("ml.m5.large", type="string", title="Instance type"),
        "answers": Param("s3://sm-hosting-models/answers/", type="string", title="Where the answers go"),
        "max_capacity": Param(2, type="integer", minimum=1, title="Most instances"),
        "poll_interval": Param(10, type="number", minimum=0.1, title="Seconds between two polls"),
    },
) as dag:
    variant = InstanceProductionVariant(
        variant_name="main",
        model_name="{{ params.model }}",
        instance_type="{{ params.instance_type }}",
    )
    config = CreateEndpointConfigOperator(
        task_id="create_asynchronous_config",
        endpoint_config_name="{{ params.endpoint_name }}",
        production_variants=[variant],
        async_inference_config={"OutputConfig": {"S3OutputPath": "{{ params.answers }}"}},
    )
    deploy = DeployEndpointOperator(
        task_id="deploy_asynchronous",
        endpoint_name="{{ params.endpoint_name }}",
        endpoint_config_name=config.output,
        poll_interval="{{ params.poll_interval }}",
    )
    scaling = ConfigureAutoscalingOperator(
        task_id="scale_from_zero",
        endpoint_name=deploy.output,
        variant_name="main",
        max_capacity="{{ params.max_capacity }}",
        from_zero=ScaleFromZero(target_value=5),
    )

    # About a quarter of an hour after the last request.
    is_at_zero = NoInstanceSensor(
        task_id="is_at_zero",
        endpoint_name="{{ params.endpoint_name }}",
        poke_interval=10,
        timeout=2 * 3600,
        mode="reschedule",
    )
    # The answer comes as soon as an instance is there; that takes minutes.
    ask = InvokeEndpointOperator(
        task_id="wake_and_ask",
        endpoint_name=deploy.output,
        body=REQUEST,
        timeout=timedelta(hours=1),
        poll_interval="{{ params.poll_interval }}",
        push_response=True,
    )
    scaling >> is_at_zero >> ask

    real_time = CreateEndpointConfigOperator(
        task_id="create_real_time_config",
        endpoint_config_name="{{ params.endpoint_name }}-live",
        production_variants=[variant],
    )
    deploy_real_time = DeployEndpointOperator(
        task_id="deploy_real_time",
        endpoint_name="{{ params.endpoint_name }}-live",
        endpoint_config_name=real_time.output,
        poll_interval="{{ params.poll_interval }}",
    )
    stream = InvokeEndpointOperator(
        task_id="stream",
        endpoint_name=deploy_real_time.output,
        body=REQUEST,
        kind="streamed",
        push_response=True,
    )
    delete = DeleteEndpointOperator(
        task_id="delete_real_time",
        endpoint_name="{{ params.endpoint_name }}-live",
        delete_endpoint_config=True,
        trigger_rule="all_done",
    )
    stream >> delete
