"""Spec objects as they are meant to be written: no type checker has anything against a line of these."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, task

from airflow_sm_hosting import (
    AlarmRule,
    AllAtOnce,
    AsyncInference,
    Canary,
    CapacityReservation,
    ComputeRequirements,
    ContainerDefinition,
    ContainerImage,
    DataCapture,
    EndpointMetric,
    Expectation,
    Explainer,
    ImageAccess,
    InferenceComponentSpecification,
    InstancePool,
    InstanceProductionVariant,
    InvocationsScaling,
    Linear,
    ManagedInstanceScaling,
    MetricMath,
    Metrics,
    ModelData,
    MultiModel,
    NewFleetAlarm,
    Rolling,
    Routing,
    ScaleFromZero,
    ScheduledScaling,
    ServerlessProductionVariant,
    ServerlessUpdate,
    SmokeTest,
    StepScaling,
    TargetTrackingScaling,
    UploadModelDataOperator,
    VpcConfig,
    WorkingHours,
)


@task
def load_test() -> float:
    return 20.0


with DAG("spec_right", schedule=None) as dag:
    upload = UploadModelDataOperator(task_id="upload", path="model", bucket_name="models")
    rate = load_test()

    Canary(size="10%", wait_interval=timedelta(minutes=10), auto_rollback_alarms=["slow", "errors"])
    Canary(size=1, wait_interval=600, termination_wait="{{ params.bake }}", maximum_execution_timeout=3600)
    Canary(size={"Type": "INSTANCE_COUNT", "Value": 1}, wait_interval="{{ params.wait }}")
    Linear(step_size="25%", wait_interval=300, auto_rollback_alarms=("slow",))
    Rolling(maximum_batch_size="{{ params.batch }}", wait_interval=0, rollback_maximum_batch_size="100%")
    AllAtOnce(termination_wait=timedelta(hours=1))
    ContainerDefinition(image=ContainerImage.from_asset(Path("serving"), platform="linux/arm64"))
    ContainerDefinition(image="{{ params.image }}", model_data=upload.output, mode="SingleModel")
    ContainerDefinition(
        image=ContainerImage.from_ecr_repository("churn", digest="{{ params.digest }}"),
        model_data=ModelData.from_bucket("models", "churn/model.tar.gz"),
        environment={"WORKERS": 2, "DEBUG": False, "SECRET_ARN": "{{ var.value.secret_arn }}"},
        MultiModelConfig={"ModelCacheSetting": "Disabled"},
    )
    InstanceProductionVariant(model_name="churn", variant_name="main", initial_instance_count=2)
    InstanceProductionVariant(
        model_name=upload.output,
        variant_name="main",
        instance_type="{{ params.instance_type }}",
        initial_variant_weight=0.5,
        container_startup_health_check_timeout=timedelta(minutes=5),
        RoutingConfig={"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    )
    ServerlessProductionVariant(
        model_name="churn",
        variant_name="main",
        max_concurrency=5,
        memory_size_in_mb=dag.param("memory", 2048),
    )
    InferenceComponentSpecification(
        model_name=upload.output,
        requirements=ComputeRequirements(min_memory_in_mb="{{ params.memory }}", accelerators=1),
        container_startup_health_check_timeout=timedelta(minutes=10),
        enable_caching=True,
    )
    InferenceComponentSpecification(base_inference_component_name="llm", artifact_url="{{ params.adapter }}")
    InstanceProductionVariant(variant_name="main", ManagedInstanceScaling={"Status": "ENABLED"})
    InstanceProductionVariant(
        variant_name="main",
        instance_type=None,
        instance_pools=[InstancePool(instance_type="ml.g5.xlarge", priority=1)],
        managed_instance_scaling=ManagedInstanceScaling(min_instance_count="{{ params.least }}"),
        routing=Routing(strategy="PREFIX_AWARE", prefix_length=2048, concurrency_threshold=8),
        enable_ssm_access=True,
    )
    DataCapture(
        destination_s3_uri="s3://b/c",
        initial_sampling_percentage=100,
        capture_options=["Input", "{{ params.mode }}"],
    )
    AsyncInference(s3_output_path="{{ params.answers }}", include_inference_response_in=[])
    Metrics(publish_frequency=timedelta(minutes=1))
    Explainer(shap_baseline="1,2", feature_types=["text"])
    VpcConfig(subnets=["subnet-1"], security_group_ids=["{{ params.group }}"])
    ContainerDefinition(image="nginx", multi_model=MultiModel(), image_access={"RepositoryAccessMode": "Vpc"})
    ImageAccess(repository_access_mode="Vpc")
    CapacityReservation(ml_reservation_arn="{{ params.plan }}")
    ServerlessUpdate(max_concurrency=5)
    InvocationsScaling(max_requests_per_second=rate, scale_in_cooldown=0, disable_scale_in=False)
    TargetTrackingScaling(
        target_value=60, customized_metric=EndpointMetric.cpu_utilization(period=60, statistic="Maximum")
    )
    StepScaling(
        step_adjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        adjustment_type="ChangeInCapacity",
        cooldown=timedelta(minutes=5),
    )
    ScheduledScaling(
        scheduled_action_name="night",
        schedule="cron(0 22 * * ? *)",
        min_capacity=1,
        start_time=datetime(2026, 1, 1, tzinfo=UTC),
    )
    ScaleFromZero(target_value=rate, scale_in_cooldown=timedelta(minutes=10), alarm_name="{{ params.alarm }}")
    WorkingHours(
        start="07:00", end="{{ params.end }}", timezone="Europe/Berlin", night_capacity="{{ params.night }}"
    )
    TargetTrackingScaling(
        target_value=5,
        customized_metric=MetricMath(expression="a / 2", metrics={"a": EndpointMetric.invocations()}),
    )
    EndpointMetric.custom(
        "AWS/SageMaker",
        "ModelLatency",
        dimensions={"EndpointName": "churn", "VariantName": "{{ params.variant }}"},
    )
    MetricMath(expression="a / 2", metrics={"a": EndpointMetric.invocations(account_id="123456789012")})
    NewFleetAlarm(
        variant_name="main", metric=EndpointMetric.model_latency(), threshold=timedelta(milliseconds=200)
    )
    NewFleetAlarm(variant_name="main", metric=EndpointMetric.error_rate(period=60), threshold=1.5)
    SmokeTest(body={"instances": [[1, 2]]}, expect="score", target_variant="main")
    SmokeTest(
        requests_file=Path("rows.csv"),
        kind="asynchronous",
        expect=Expectation(subset={"a": 1}, tolerance=0.1, contains=["a", "{{ ds }}"]),
        wait_for_capacity=timedelta(minutes=10),
        timeout="{{ params.timeout }}",
    )
    Expectation(schema={"type": "object"}, check="my_company.checks.is_churn", max_latency_ms=rate)
    AlarmRule.any_of("slow", AlarmRule.not_(AlarmRule.ok("{{ params.alarm }}")))
