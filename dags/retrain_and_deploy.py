"""Put each new model into production.

Starts when ``train_model`` announces an artifact, or from the UI. Builds the serving image, uploads the artifact, makes
model and endpoint config, deploys, scales, sets an alarm, and asks the endpoint about real rows. Nothing is done
twice: what is there with the same content is left as it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Asset, Param, task

from airflow_sm_hosting import (
    AllAtOnce,
    ApproveDeploymentOperator,
    BuildImageOperator,
    Canary,
    ConfigureAutoscalingOperator,
    ContainerDefinition,
    CreateEndpointConfigOperator,
    CreateLatencyAlarmOperator,
    CreateModelOperator,
    DeployEndpointOperator,
    InstanceProductionVariant,
    InvocationsScaling,
    InvokeEndpointOperator,
    Linear,
    PlanDeploymentOperator,
    Rolling,
    UploadModelDataOperator,
)

MODEL = Asset("breast_cancer_model")
VARIANT = "main"
ROLLOUTS = {
    "all_at_once": "All at once",
    "canary": "Canary: 10 % first, then the rest",
    "linear": "Linear: 25 % a step",
    "rolling": "Rolling: instances replaced in batches of 25 %",
}

with DAG(
    "retrain_and_deploy",
    description="Deploy a newly trained model to an endpoint.",
    doc_md=__doc__,
    schedule=[MODEL],
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    tags=["sm-hosting", "example"],
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    # The first section is the only open one of the form: the three fields that matter first.
    params={
        "endpoint_name": Param(
            "breast-cancer",
            type="string",
            title="Endpoint",
            description="Letters, digits and single hyphens, 63 at most. One that does not exist is created.",
            pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$",
            maxLength=63,
            # Airflow shows the schema of a refused value, and so these words.
            errorMessage="Only letters, digits and inner hyphens",
        ),
        "model_path": Param(
            None,
            type=["null", "string"],
            title="Model",
            description="Folder or .tar.gz of the trained artifact (empty: the newest that train_model has announced).",
        ),
        "rollout": Param(
            "all_at_once",
            type="string",
            enum=list(ROLLOUTS),
            values_display=ROLLOUTS,
            title="Rollout",
            description="How the traffic moves from the old model to the new one. All but the first need two instances or more.",
        ),
        "approval": Param(
            False,
            type="boolean",
            title="Ask a person to approve the plan",
            description="The run waits for a day under Required Actions. Nobody is asked if nothing changes.",
            section="Deployment",
        ),
        "bake_minutes": Param(
            5,
            type="number",
            minimum=0,
            maximum=60,
            title="Bake time",
            description="Minutes after each step of a canary, linear or rolling rollout, in which the old model can come back.",
            section="Deployment",
        ),
        "rollback_alarms": Param(
            [],
            type="array",
            items={"type": "string"},
            title="Alarms that roll back",
            description="Names of CloudWatch alarms, one a line. The latency alarm of this DAG is there after its first run.",
            section="Deployment",
        ),
        "allow_older": Param(
            False,
            type="boolean",
            title="Deploy although a newer run has deployed",
            section="Deployment",
        ),
        "instance_type": Param(
            "ml.m5.large",
            type="string",
            examples=["ml.t2.medium", "ml.m5.large", "ml.m5.xlarge", "ml.c6i.large", "ml.g5.xlarge"],
            title="Instance type",
            description="A suggestion, or another one that begins with ml.",
            pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$",
            errorMessage="An instance type begins with ml.",
            section="Capacity",
        ),
        "min_capacity": Param(
            1, type="integer", minimum=1, maximum=20, title="Fewest instances", section="Capacity"
        ),
        "max_capacity": Param(
            3, type="integer", minimum=1, maximum=20, title="Most instances", section="Capacity"
        ),
        "max_requests_per_second": Param(
            30,
            type="number",
            exclusiveMinimum=0,
            title="Requests per second",
            description="What one instance can serve, found by a load test.",
            section="Capacity",
        ),
        "latency_threshold": Param(
            100000,
            type="number",
            exclusiveMinimum=0,
            title="Latency alarm",
            description="In microseconds: 100000 is a tenth of a second.",
            section="Capacity",
        ),
        "bucket_name": Param(
            "sm-hosting-models", type="string", title="Bucket of the artifacts", section="AWS"
        ),
        "repository_name": Param(
            "breast-cancer", type="string", title="ECR repository of the image", section="AWS"
        ),
        "execution_role": Param(
            "SageMakerHostingRole",
            type="string",
            title="Execution role",
            description="Name or ARN of the role that SageMaker assumes.",
            section="AWS",
        ),
        "base_image": Param(
            None,
            type=["null", "string"],
            title="Base image",
            description="Empty: the Airflow variable base_image, else python:3.12-slim.",
            section="AWS",
        ),
        "poll_interval": Param(
            10, type="number", minimum=1, title="Seconds between two polls", section="Deployment"
        ),
    },
) as dag:

    @task(multiple_outputs=True, inlets=[MODEL])
    def choose_model(params=None, triggering_asset_events=None, inlet_events=None):
        """Take the model of the event that started this run, or the given one, or the newest."""
        if triggering_asset_events and triggering_asset_events.get(MODEL):
            extra = triggering_asset_events[MODEL][-1].extra
        else:
            announced = inlet_events[MODEL]
            extra = announced[-1].extra if len(announced) else None
        path = params["model_path"] or (extra or {}).get("path")
        if not path:
            raise ValueError(
                "There is no asset event of a model yet: run the DAG train_model, or give model_path."
            )
        # An artifact that nobody announced comes without rows to ask about.
        announced = extra if extra and extra.get("path") == path else {}
        samples = announced.get("samples") or {"rows": [], "predicted": []}
        return {"path": path, "rows": samples["rows"], "predicted": samples["predicted"]}

    @task
    def choose_rollout(params=None):
        """Return the chosen rollout, with its bake time and its alarms."""
        bake = timedelta(minutes=params["bake_minutes"])
        alarms = params["rollback_alarms"] or None
        return {
            "all_at_once": AllAtOnce(auto_rollback_alarms=alarms),
            "canary": Canary(size="10%", wait_interval=bake, auto_rollback_alarms=alarms),
            "linear": Linear(step_size="25%", wait_interval=bake, auto_rollback_alarms=alarms),
            "rolling": Rolling(maximum_batch_size="25%", wait_interval=bake, auto_rollback_alarms=alarms),
        }[params["rollout"]]

    chosen = choose_model()
    rollout = choose_rollout()

    build_image = BuildImageOperator(
        task_id="build_image",
        directory="serving_image",
        repository_name="{{ params.repository_name }}",
        build_args={"BASE": "{{ params.base_image or var.value.get('base_image', 'python:3.12-slim') }}"},
    )
    upload_model_data = UploadModelDataOperator(
        task_id="upload_model_data",
        path=chosen["path"],
        bucket_name="{{ params.bucket_name }}",
        key_prefix="breast-cancer",
    )
    create_model = CreateModelOperator(
        task_id="create_model",
        model_name="{{ params.endpoint_name }}",
        containers=[ContainerDefinition(image=build_image.output, model_data=upload_model_data.output)],
        execution_role="{{ params.execution_role }}",
    )
    create_endpoint_config = CreateEndpointConfigOperator(
        task_id="create_endpoint_config",
        endpoint_config_name="{{ params.endpoint_name }}",
        production_variants=[
            InstanceProductionVariant(
                model_name=create_model.output,
                variant_name=VARIANT,
                instance_type="{{ params.instance_type }}",
                initial_instance_count="{{ params.min_capacity }}",
            )
        ],
    )
    deployment = {
        "endpoint_name": "{{ params.endpoint_name }}",
        "endpoint_config_name": create_endpoint_config.output,
        "rollout": rollout,
        "allow_older": "{{ params.allow_older }}",
    }
    plan = PlanDeploymentOperator(task_id="plan", **deployment)
    approve = ApproveDeploymentOperator(
        task_id="approve",
        subject="Deploy to endpoint {{ params.endpoint_name }}?",
        body=plan.output,
        plan=plan.output["details"],
        required="{{ params.approval }}",
    )
    deploy_endpoint = DeployEndpointOperator(
        task_id="deploy_endpoint",
        **deployment,
        approval=approve.output["details"],
        deferrable=True,
        poll_interval="{{ params.poll_interval }}",
    )
    configure_autoscaling = ConfigureAutoscalingOperator(
        task_id="configure_autoscaling",
        endpoint_name=deploy_endpoint.output,
        variant_name=VARIANT,
        min_capacity="{{ params.min_capacity }}",
        max_capacity="{{ params.max_capacity }}",
        policies=[InvocationsScaling(max_requests_per_second="{{ params.max_requests_per_second }}")],
    )
    create_latency_alarm = CreateLatencyAlarmOperator(
        task_id="create_latency_alarm",
        endpoint_name=deploy_endpoint.output,
        variant_name=VARIANT,
        threshold="{{ params.latency_threshold }}",
        evaluation_periods=3,
        treat_missing_data="notBreaching",
    )
    smoke_test = InvokeEndpointOperator(
        task_id="smoke_test",
        endpoint_name=deploy_endpoint.output,
        body={"instances": chosen["rows"]},
        expect={"labels": chosen["predicted"]},
    )
    [configure_autoscaling, create_latency_alarm] >> smoke_test
