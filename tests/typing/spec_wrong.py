"""Spec objects with a mistake in each line that is marked: every type checker finds it, and nothing else."""

from __future__ import annotations

from datetime import date, timedelta

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
    VpcConfig,
    WorkingHours,
)

latency = EndpointMetric.model_latency()

Canary(size=3.5, wait_interval=600)  # wrong
Canary(size=1, wait_interval=[1])  # wrong
Canary(size=1)  # wrong
Canary(size=1, wait_interval=600, wait=5)  # wrong
Canary(size=1, wait_interval=0.5)  # wrong
Linear(step_size=timedelta(minutes=5), wait_interval=300)  # wrong
Linear(step_size="25%", wait_interval=300, auto_rollback_alarms={"slow"})  # wrong
Rolling(maximum_batch_size="25%", wait_interval=b"60")  # wrong
AllAtOnce(termination_wait={"seconds": 60})  # wrong
AllAtOnce(auto_rollback_alarms=[1, 2])  # wrong
ContainerDefinition(image=5)  # wrong
ContainerDefinition(image="nginx", mode="MultiModels")  # wrong
ContainerDefinition(image="nginx", environment=["A=1"])  # wrong
ContainerDefinition(image="nginx", model_data=["s3://models/m.tar.gz"])  # wrong
ContainerImage.from_asset("serving", platform="linux/arm")  # wrong
ModelData.from_asset("model", uncompressed="yes")  # wrong
ContainerImage.from_ecr_repository("churn", tag=1.10)  # wrong
ModelData.from_bucket("models")  # wrong
InstanceProductionVariant(model_name="churn", variant_name="main", initial_instance_count=1.5)  # wrong
InstanceProductionVariant(model_name="churn", variant_name=None)  # wrong
ComputeRequirements(min_memory_in_mb=0.5)  # wrong
InstanceProductionVariant(variant_name="main", routing="RANDOM")  # wrong
InstanceProductionVariant(variant_name="main", instance_pools=5)  # wrong
DataCapture(destination_s3_uri="s3://b/c")  # wrong
DataCapture(destination_s3_uri="s3://b/c", initial_sampling_percentage=0.5)  # wrong
AsyncInference(s3_output_path=5)  # wrong
ManagedInstanceScaling(min_instance_count=1.5)  # wrong
InstancePool(instance_type="ml.g5.xlarge")  # wrong
CapacityReservation(preference="none")  # wrong
Routing(strategy=None)  # wrong
Metrics(publish_frequency=0.5)  # wrong
Explainer(feature_headers={"a"})  # wrong
ServerlessUpdate(max_concurrency=[5])  # wrong
VpcConfig(subnets=["subnet-1"])  # wrong
MultiModel(model_cache_setting=True)  # wrong
ImageAccess(repository_access_mode=1)  # wrong
InferenceComponentSpecification(model_name=5)  # wrong
InferenceComponentSpecification(model_name="churn", enable_caching=1)  # wrong
ServerlessProductionVariant(model_name="c", variant_name="m", max_concurrency="5")  # wrong
InvocationsScaling(max_requests_per_second=None)  # wrong
InvocationsScaling(max_requests_per_second=20, scale_in_cooldown=2.5)  # wrong
TargetTrackingScaling(target_value=60, customized_metric="CPUUtilization")  # wrong
StepScaling(step_adjustments={"ScalingAdjustment": 1})  # wrong
ScheduledScaling(scheduled_action_name="a", schedule="rate(1 day)", start_time=date(2026, 1, 1))  # wrong
ScaleFromZero(target_value=None)  # wrong
ScaleFromZero(target_value=5, wake_capacity=0.5)  # wrong
WorkingHours(start=7, end="20:00", timezone="UTC")  # wrong
WorkingHours(start="07:00", end="20:00")  # wrong
EndpointMetric.invocations(perod=60)  # wrong
EndpointMetric.invocations(dimensions=["EndpointName"])  # wrong
MetricMath(expression="a", metrics=[latency])  # wrong
NewFleetAlarm(variant_name="main", metric="ModelLatency", threshold=1)  # wrong
NewFleetAlarm(variant_name="main", metric=latency, threshold=None)  # wrong
SmokeTest(body=b"1,2")  # wrong
SmokeTest(body="1,2", timeout=[30])  # wrong
SmokeTest(body="1,2", target_model=5)  # wrong
Expectation(contains=5)  # wrong
Expectation(equals=1, tolerances=0.1)  # wrong
Expectation(check=len)  # wrong
AlarmRule(operator="XOR", operands=["a", "b"])  # wrong
AlarmRule.any_of("slow", 5)  # wrong
