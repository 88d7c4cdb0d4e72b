"""Test a new model in the shadow of the one that serves, and promote it.

The shadow variant gets a copy of each request, and its answers go to nobody. The report compares both, by CloudWatch's metrics and by the
captured answers. Both models exist already.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param, XComArg, task

from airflow_sm_hosting import (
    CreateEndpointConfigOperator,
    DeployEndpointOperator,
    InstanceProductionVariant,
    InvokeEndpointOperator,
    PromoteShadowOperator,
    ReportShadowOperator,
    SmokeTest,
)

with DAG(
    "shadow_test",
    description="Test a new model in the shadow of the one that serves, and promote it.",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    tags=["sm-hosting", "example"],
    params={
        "endpoint_name": Param("shadow-test", type="string", title="Endpoint"),
        "production_model": Param("model-a", type="string", title="Model that serves"),
        "shadow_model": Param("model-b", type="string", title="New model"),
        "instance_type": Param("ml.m5.large", type="string", title="Instance type"),
        "captured": Param(
            "s3://sm-hosting-models/captured", type="string", title="Where captured answers go"
        ),
        "least_agreement": Param(0.9, type="number", title="Part of answers that must be equal, 0 to 1"),
        "poll_interval": Param(10, type="number", minimum=0.1, title="Seconds between two polls"),
    },
) as dag:
    config = CreateEndpointConfigOperator(
        task_id="create_endpoint_config",
        endpoint_config_name="{{ params.endpoint_name }}",
        production_variants=[
            InstanceProductionVariant(
                variant_name="main",
                model_name="{{ params.production_model }}",
                instance_type="{{ params.instance_type }}",
            )
        ],
        shadow_production_variants=[
            InstanceProductionVariant(
                variant_name="shadow",
                model_name="{{ params.shadow_model }}",
                instance_type="{{ params.instance_type }}",
            )
        ],
        data_capture_config={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": "{{ params.captured }}",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        },
    )
    deploy = DeployEndpointOperator(
        task_id="deploy",
        endpoint_name="{{ params.endpoint_name }}",
        endpoint_config_name=config.output,
        poll_interval="{{ params.poll_interval }}",
    )
    # In place of users, of whom an example has none.
    ask = InvokeEndpointOperator(
        task_id="ask", endpoint_name=deploy.output, requests_file="sample_requests.jsonl"
    )
    report = ReportShadowOperator(
        task_id="report", endpoint_name=ask.output, lookback=timedelta(hours=1), tolerance=0.01
    )

    @task.short_circuit
    def is_good(details: dict, params=None) -> bool:
        """Return whether the shadow fails no more often, and answers alike as far as answers are captured yet."""
        agreement = details["agreement"]
        fails = details["shadow"]["errors_5xx"] > details["production"]["errors_5xx"]
        return not fails and (agreement is None or agreement >= params["least_agreement"])

    promote = PromoteShadowOperator(
        task_id="promote",
        endpoint_name=deploy.output,
        smoke_test=SmokeTest(requests_file="sample_requests.jsonl"),
        on_smoke_failure="rollback",
        poll_interval="{{ params.poll_interval }}",
    )
    is_good(XComArg(report, key="details")) >> promote
