"""Operators as they are meant to be written: no type checker has anything against a line of these."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_sm_hosting import (
    AlarmRule,
    ApproveModelOperator,
    BuildImageOperator,
    Canary,
    CheckContainerOperator,
    CleanUpHostingOperator,
    ComputeRequirements,
    ConfigureAutoscalingOperator,
    ContainerDefinition,
    ContainerImage,
    CopyModelDataOperator,
    CreateCompositeAlarmOperator,
    CreateEndpointAlarmOperator,
    CreateEndpointConfigOperator,
    CreateLatencyAlarmOperator,
    CreateModelOperator,
    DataCapture,
    DeleteEndpointOperator,
    DeleteInferenceComponentOperator,
    DeployEndpointOperator,
    DeployInferenceComponentOperator,
    EndpointDriftSensor,
    EndpointInServiceSensor,
    EndpointMetric,
    EnsureExecutionRoleOperator,
    GrantAccessOperator,
    InferenceComponentInServiceSensor,
    InferenceComponentSpecification,
    InstanceProductionVariant,
    InvocationsScaling,
    InvokeEndpointOperator,
    ModelData,
    ModelPackage,
    ModelPackageApprovedSensor,
    ModelPackageEventTrigger,
    NewFleetAlarm,
    PlanInferenceComponentOperator,
    PromoteShadowOperator,
    RegisterModelOperator,
    ReportShadowOperator,
    RollbackInferenceComponentOperator,
    Rolling,
    ScaleFromZero,
    ScheduledScaling,
    ServerlessUpdate,
    ShiftTrafficOperator,
    SmokeTest,
    UploadModelDataOperator,
    WorkingHours,
    deploy_in_waves,
)


@task
def endpoint() -> str:
    return "churn"


with DAG("operators_right", schedule=None):
    name = endpoint()
    image = BuildImageOperator(
        task_id="image",
        directory=Path("serving"),
        repository_name="{{ params.repository }}",
        build_args={"VERSION": "1.10"},
        platform="linux/arm64",
        builder="assembler",
    )
    image_by_codebuild = BuildImageOperator(
        task_id="image_by_codebuild",
        directory=Path("serving"),
        repository_name="churn",
        builder="codebuild",
        codebuild={
            "service_role": name,
            "bucket_name": "{{ var.value.bucket }}",
            "timeout": timedelta(hours=2),
            "vpc_config": {"vpcId": "vpc-1", "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]},
            "secrets": [{"name": "pip", "type": "SECRETS_MANAGER", "value": "pip"}],
        },
        deferrable=True,
        poll_interval=timedelta(seconds=30),
    )
    artifact = UploadModelDataOperator(
        task_id="artifact",
        path="{{ params.folder }}",
        bucket_name="models",
        key_prefix="churn",
        server_side_encryption="aws:kms:dsse",
        kms_key_id="alias/models",
        bucket_owner="123456789012",
        tags={"team": "churn"},
        storage_class="{{ params.storage_class }}",
        uncompressed=True,
    )
    CopyModelDataOperator(
        task_id="copy_artifact",
        model_data=artifact.output,
        bucket_name="{{ params.bucket }}",
        tags={"team": "churn"},
        source_aws_conn_id="artifacts",
    )
    GrantAccessOperator(
        task_id="grant",
        principals=["444455556666", "{{ params.role }}"],
        repository_name="churn",
        model_data=[artifact.output],
    )
    EndpointDriftSensor(
        task_id="drift", endpoint_name="churn", instance_counts={"main": 2}, alarms=["a"], soft_fail=True
    )
    deploy_in_waves(
        [["eu-west-1"], [{"region_name": "us-east-1"}]],
        lambda place: DeleteEndpointOperator(task_id="delete", endpoint_name="churn"),
        bake=timedelta(hours=1),
    )
    checked = CheckContainerOperator(
        task_id="check",
        image=image.output,
        model_data=artifact.output,
        requests=["request.json", {"body": [1], "expect": {"a": 1}}, "{{ params.request }}"],
        environment={"LEVEL": "info"},
        memory_size_in_mb=2048,
        startup_timeout=timedelta(seconds=60),
        stop_timeout="{{ params.stop }}",
        read_only=True,
    )
    CheckContainerOperator(
        task_id="check_reference",
        image=ContainerImage.from_ecr_repository("churn"),
        model_data=ModelData.from_bucket("models", "churn.tar.gz"),
        instance_type="ml.m5.large",
    )
    role = EnsureExecutionRoleOperator(
        task_id="role",
        role_name="churn",
        model_data=["s3://models/churn/", ModelData.from_prefix("models", "shared")],
        propagation_timeout=timedelta(minutes=5),
    )
    model = CreateModelOperator(
        task_id="model",
        model_name="churn",
        containers=[ContainerDefinition(image=image.output, model_data=artifact.output)],
        execution_role=role.output,
        subnets=("subnet-1", "subnet-2"),
        security_group_ids=["sg-1"],
        enable_network_isolation=True,
        tags={"team": "growth"},
    )
    direct = CreateModelOperator(
        task_id="direct",
        model_name="{{ params.model }}",
        containers=[{"Image": "{{ params.image }}", "ContainerHostname": "a"}],
        enable_network_isolation="{{ params.isolated }}",
        inference_execution_mode="Direct",
    )
    config = CreateEndpointConfigOperator(
        task_id="config",
        endpoint_config_name="churn",
        production_variants=[InstanceProductionVariant(model_name=model.output, variant_name="main")],
        data_capture_config=DataCapture(destination_s3_uri="s3://b/c", initial_sampling_percentage=10),
        metrics_config={"MetricPublishFrequencyInSeconds": 10},
    )
    deploy = DeployEndpointOperator(
        task_id="deploy",
        endpoint_name=name,
        endpoint_config_name=config.output,
        rollout=Canary(size="10%", wait_interval=600),
        auto_rollback_alarms=["slow"],
        new_fleet_alarms=[
            NewFleetAlarm(variant_name="main", metric=EndpointMetric.model_latency(), threshold=1e5)
        ],
        retain_variant_properties=False,
        adopt="{{ params.adopt }}",
        smoke_test=SmokeTest(body="1,2"),
        on_smoke_failure="rollback",
        poll_interval=timedelta(seconds=30),
        timeout=3600,
    )
    again = DeployEndpointOperator(
        task_id="again",
        endpoint_name="churn",
        endpoint_config_name="{{ params.config }}",
        rollout={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE"}}},
        retain_variant_properties="auto",
        timeout="{{ params.timeout }}",
    )
    scaling = ConfigureAutoscalingOperator(
        task_id="scaling",
        endpoint_name=deploy.output,
        variant_name="main",
        min_capacity=0,
        max_capacity="{{ params.most }}",
        policies=[InvocationsScaling(max_requests_per_second=20)],
        scheduled_actions=[
            ScheduledScaling(scheduled_action_name="a", schedule="rate(1 day)", min_capacity=1),
            WorkingHours(start="07:00", end="20:00", timezone="UTC"),
        ],
        from_zero=ScaleFromZero(target_value=5),
        scalable_dimension="sagemaker:variant:DesiredInstanceCount",
        tags={"team": "ml"},
    )
    latency = CreateLatencyAlarmOperator(
        task_id="latency",
        endpoint_name=name,
        variant_name="main",
        threshold=timedelta(milliseconds=200),
        evaluation_periods=3,
        period=60,
    )
    errors = CreateEndpointAlarmOperator(
        task_id="errors",
        endpoint_name=name,
        variant_name="main",
        metric=EndpointMetric.error_rate(),
        threshold=1.5,
        evaluation_periods="{{ params.periods }}",
        treat_missing_data="notBreaching",
        alarm_actions=["arn:aws:sns:eu-west-1:123456789012:oncall"],
    )
    both = CreateCompositeAlarmOperator(
        task_id="both",
        alarm_name="churn",
        alarm_rule=AlarmRule.any_of(latency.output, errors.output),
        actions_suppressor="deploying",
        actions_suppressor_wait_period=timedelta(minutes=1),
        actions_suppressor_extension_period=60,
    )
    wait = EndpointInServiceSensor(task_id="wait", endpoint_name=name, timeout=timedelta(hours=1))
    ask = InvokeEndpointOperator(task_id="ask", endpoint_name=name, body={"rows": [[1, 2]]}, expect="score")
    InvokeEndpointOperator(
        task_id="rows",
        endpoint_name=name,
        requests_file="rows.jsonl",
        timeout=timedelta(minutes=5),
        deferrable=True,
    )
    shift = ShiftTrafficOperator(
        task_id="shift",
        endpoint_name=name,
        weights={"main": 9, "other": "{{ params.weight }}"},
        instance_counts={"main": 2},
        serverless_updates={"calm": ServerlessUpdate(max_concurrency=5)},
    )
    ShiftTrafficOperator(task_id="undo", endpoint_name=name, undo=shift.output, timeout=timedelta(minutes=5))
    ReportShadowOperator(task_id="report", endpoint_name=name, lookback=timedelta(hours=1), tolerance=0.1)
    PromoteShadowOperator(
        task_id="promote", endpoint_name=name, capacity="shadow", smoke_test=SmokeTest(body="1,2")
    )
    clean = CleanUpHostingOperator(
        task_id="clean", keep=2, older_than=timedelta(days=7), dry_run="{{ params.dry_run }}"
    )
    specification = InferenceComponentSpecification(
        model_name=model.output, requirements=ComputeRequirements(min_memory_in_mb=1024)
    )
    component = DeployInferenceComponentOperator(
        task_id="component",
        inference_component_name="churn",
        endpoint_name=name,
        variant_name="main",
        specification=specification,
        copy_count="{{ params.copies }}",
        rollout=Rolling(maximum_batch_size=1, wait_interval=60),
        timeout=timedelta(hours=1),
    )
    component_plan = PlanInferenceComponentOperator(
        task_id="component_plan",
        inference_component_name="churn",
        endpoint_name=name,
        variant_name="main",
        specifications=[specification],
    )
    component_scaling = ConfigureAutoscalingOperator(
        task_id="component_scaling", inference_component_name=component.output, max_capacity=4
    )
    component_back = RollbackInferenceComponentOperator(
        task_id="component_back", inference_component_name="churn", timeout=600
    )
    component_wait = InferenceComponentInServiceSensor(
        task_id="component_wait", inference_component_name=component.output, deferrable=True
    )
    component_gone = DeleteInferenceComponentOperator(
        task_id="component_gone", inference_component_name="churn", adopt=True
    )
    delete = DeleteEndpointOperator(
        task_id="delete", endpoint_name="{{ params.endpoint }}", delete_models=True, timeout=600
    )

APPROVED = Asset(
    "approved",
    watchers=[AssetWatcher(name="w", trigger=ModelPackageEventTrigger(queue="q", groups=["churn"]))],
)

with DAG("registry_right", schedule=[APPROVED]):
    registered = RegisterModelOperator(
        task_id="register",
        model_package_group_name="churn",
        containers=[ContainerDefinition(image="{{ params.image }}", model_data="s3://models/m.tar.gz")],
        approval_status="PendingManualApproval",
        content_types=["application/json", "{{ params.type }}"],
        metadata={"accuracy": 0.94, "rows": 1000},
        model_metrics={"ModelQuality": {"Statistics": {"ContentType": "a/b", "S3Uri": "s3://m/q"}}},
        commit_id="{{ params.commit }}",
        request_members={"Domain": "MACHINE_LEARNING"},
        create_group=True,
        tags={"team": "a"},
    )
    ApproveModelOperator(
        task_id="approve",
        model_package=registered.output,
        approval_status="Rejected",
        description="slow",
        overrule="{{ params.overrule }}",
    )
    ModelPackageApprovedSensor(
        task_id="wait", model_package="churn/3", poke_interval=timedelta(minutes=5), deferrable=True
    )
    packages = (
        ModelPackage.latest_approved("churn"),
        ModelPackage.version(registered.output),
        ModelPackage.from_event(APPROVED, group="churn"),
        "churn/3",
        registered.output,
    )
    for number, package in enumerate(packages):
        CreateModelOperator(
            task_id=f"model_{number}",
            model_name="churn",
            containers=[ContainerDefinition(model_package=package)],
        )
