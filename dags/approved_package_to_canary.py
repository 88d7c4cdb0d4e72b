"""Deploy each model package as soon as it is approved, first to a canary.

Somebody approves a version of the group in SageMaker Studio, or a task does it with ``ApproveModelOperator``. EventBridge sends the event
to a queue, the watcher of the asset receives it, and this DAG deploys exactly that version: one instance for a while, and then all. A run
from the UI deploys the latest approved version. A second event of the same version changes nothing.

docs/model-registry.md has the rule and the queue.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Asset, AssetWatcher, Param

from airflow_sm_hosting import (
    Canary,
    ContainerDefinition,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    DeployEndpointOperator,
    InstanceProductionVariant,
    InvokeEndpointOperator,
    ModelPackage,
    ModelPackageEventTrigger,
)

GROUP = "churn"
APPROVED = Asset(
    "approved_churn_package",
    watchers=[
        AssetWatcher(
            name="churn_approvals",
            trigger=ModelPackageEventTrigger(queue="churn-approvals", groups=[GROUP]),
        )
    ],
)

with DAG(
    "approved_package_to_canary",
    description="Deploy an approved model package, first to a canary.",
    doc_md=__doc__,
    schedule=[APPROVED],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    # Two approvals are deployed one after the other.
    max_active_runs=1,
    tags=["sm-hosting", "example"],
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    params={
        "endpoint_name": Param(
            "churn",
            type="string",
            pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$",
            title="Endpoint",
        ),
        "execution_role": Param(
            "SageMakerHostingRole",
            type="string",
            title="Execution role",
            description="Name or ARN of the role that SageMaker assumes; it must read the package's image and artifact.",
        ),
        "instance_type": Param(
            "ml.m5.large",
            type="string",
            pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$",
            title="Instance type",
            section="Capacity",
        ),
        "instances": Param(2, type="integer", minimum=2, maximum=20, title="Instances", section="Capacity"),
        "canary_seconds": Param(
            600,
            type="integer",
            minimum=0,
            maximum=3600,
            title="Seconds of the canary",
            description="How long one instance serves the new version before all do.",
            section="Rollout",
        ),
        "poll_interval": Param(
            10, type="number", minimum=1, title="Seconds between two polls", section="Rollout"
        ),
        "request": Param(
            {"instances": []}, type="object", title="Request", description="What the endpoint is asked last."
        ),
    },
) as dag:
    create_model = CreateModelOperator(
        task_id="create_model",
        model_name="{{ params.endpoint_name }}",
        containers=[ContainerDefinition(model_package=ModelPackage.from_event(APPROVED, group=GROUP))],
        execution_role="{{ params.execution_role }}",
    )
    create_endpoint_config = CreateEndpointConfigOperator(
        task_id="create_endpoint_config",
        endpoint_config_name="{{ params.endpoint_name }}",
        production_variants=[
            InstanceProductionVariant(
                model_name=create_model.output,
                variant_name="main",
                instance_type="{{ params.instance_type }}",
                initial_instance_count="{{ params.instances }}",
            )
        ],
    )
    deploy_endpoint = DeployEndpointOperator(
        task_id="deploy_endpoint",
        endpoint_name="{{ params.endpoint_name }}",
        endpoint_config_name=create_endpoint_config.output,
        rollout=Canary(size=1, wait_interval="{{ params.canary_seconds }}"),
        deferrable=True,
        poll_interval="{{ params.poll_interval }}",
    )
    InvokeEndpointOperator(
        task_id="ask",
        endpoint_name=deploy_endpoint.output,
        body="{{ params.request | tojson }}",
    )
