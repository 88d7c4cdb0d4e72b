"""Operators with a mistake in each line that is marked: every type checker finds it, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_sm_hosting import (
    ApproveModelOperator,
    BuildImageOperator,
    CheckContainerOperator,
    CleanUpHostingOperator,
    ConfigureAutoscalingOperator,
    CopyModelDataOperator,
    CreateCompositeAlarmOperator,
    CreateEndpointAlarmOperator,
    CreateEndpointConfigOperator,
    CreateLatencyAlarmOperator,
    CreateModelOperator,
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
    InvokeEndpointOperator,
    ModelPackageApprovedSensor,
    ModelPackageEventTrigger,
    PromoteShadowOperator,
    RegisterModelOperator,
    ReportShadowOperator,
    ShiftTrafficOperator,
    UploadModelDataOperator,
    deploy_in_waves,
)

t: Any = {"task_id": "t"}
e: Any = {"endpoint_name": "churn", "task_id": "t"}
c: Any = {"inference_component_name": "churn", "task_id": "t"}
v: Any = {"endpoint_name": "churn", "variant_name": "main", "task_id": "t"}
latency = EndpointMetric.model_latency()

BuildImageOperator(directory="serving", **t, repository_name="churn", build_args=["A=1"])  # wrong
BuildImageOperator(directory="serving", **t, repository_name="churn", builder=True)  # wrong
BuildImageOperator(directory=5, **t, repository_name="churn")  # wrong
BuildImageOperator(directory="a", **t, repository_name="b", codebuild={"service_role": "c"})  # wrong
BuildImageOperator(directory="serving", **t, repository_name="churn", deferrable="yes")  # wrong
UploadModelDataOperator(path=["model"], **t, bucket_name="models")  # wrong
UploadModelDataOperator(path="model", **t, bucket_name=None)  # wrong
UploadModelDataOperator(path="model", **t, bucket_name="models", bucket_owner=123456789012)  # wrong
UploadModelDataOperator(path="model", **t, bucket_name="models", tags=5)  # wrong
UploadModelDataOperator(path="model", **t, bucket_name="models", uncompressed=[True])  # wrong
CopyModelDataOperator(model_data=["s3://models/m.tar.gz"], **t, bucket_name="models")  # wrong
CopyModelDataOperator(model_data="s3://models/m.tar.gz", **t, bucket_name="models", tags=5)  # wrong
GrantAccessOperator(principals=5, **t, repository_name="churn")  # wrong
GrantAccessOperator(principals=["444455556666"], **t, repository_name=["churn"])  # wrong
EndpointDriftSensor(weights=5, **e)  # wrong
EndpointDriftSensor(alarms=5, **e)  # wrong
EndpointDriftSensor(deferrable="yes", **e)  # wrong
deploy_in_waves([["eu-west-1"]], print, bake="1h")  # wrong
deploy_in_waves([["eu-west-1"]], print, trigger_rule="all_done")  # wrong
deploy_in_waves([[5]], print)  # wrong
CheckContainerOperator(image=5, **t)  # wrong
CheckContainerOperator(image="churn", **t, requests=5)  # wrong
CheckContainerOperator(image="churn", **t, memory_size_in_mb=[1024])  # wrong
CheckContainerOperator(image="churn", **t, read_only=[True])  # wrong
EnsureExecutionRoleOperator(role_name="churn", **t, propagation_timeout=[60])  # wrong
CreateModelOperator(model_name=5, **t, containers=[])  # wrong
CreateModelOperator(model_name="churn", **t, containers=5)  # wrong
CreateModelOperator(model_name="churn", **t, containers=[], enable_network_isolation=[True])  # wrong
CreateModelOperator(model_name="churn", **t, containers=[], subnets=5)  # wrong
CreateModelOperator(model_name="churn", **t, containers=[], tags=5)  # wrong
CreateEndpointConfigOperator(endpoint_config_name="churn", **t, production_variants=5)  # wrong
CreateEndpointConfigOperator(endpoint_config_name=["churn"], **t, production_variants=[])  # wrong
DeployEndpointOperator(endpoint_config_name="c", **e, rollout=0.1)  # wrong
DeployEndpointOperator(endpoint_config_name="c", **e, adopt=1)  # wrong
DeployEndpointOperator(endpoint_config_name="c", **e, timeout=[3600])  # wrong
DeployEndpointOperator(endpoint_config_name="c", **e, auto_rollback_alarms=5)  # wrong
DeployEndpointOperator(endpoint_config_name="c", **e, wait_for_completion="yes")  # wrong
DeployEndpointOperator(endpoint_config_name="c", **e, smoke_test=5)  # wrong
ConfigureAutoscalingOperator(max_capacity=2.5, **v)  # wrong
ConfigureAutoscalingOperator(max_capacity=2, **v, policies=5)  # wrong
ConfigureAutoscalingOperator(max_capacity=2, **v, tags=5)  # wrong
ConfigureAutoscalingOperator(max_capacity=2, **v, from_zero=5)  # wrong
ConfigureAutoscalingOperator(max_capacity=2, inference_component_name=5, **t)  # wrong
DeployInferenceComponentOperator(endpoint_name="e", **c, specification=5)  # wrong
DeployInferenceComponentOperator(endpoint_name="e", **c, specifications=5)  # wrong
DeployInferenceComponentOperator(endpoint_name="e", **c, copy_count=1.5)  # wrong
DeployInferenceComponentOperator(endpoint_name="e", **c, rollout=0.1)  # wrong
DeleteInferenceComponentOperator(inference_component_name="a", **t, delete_adapters=1)  # wrong
InferenceComponentInServiceSensor(inference_component_name=5, **t)  # wrong
CreateEndpointAlarmOperator(metric=5, **v, threshold=1, evaluation_periods=1)  # wrong
CreateEndpointAlarmOperator(metric=latency, **v, threshold=[1], evaluation_periods=1)  # wrong
CreateLatencyAlarmOperator(threshold=1, **v, evaluation_periods=timedelta(minutes=1))  # wrong
CreateCompositeAlarmOperator(alarm_name="churn", **t, alarm_rule=["slow"])  # wrong
InvokeEndpointOperator(body="1,2", **e, content_type=5)  # wrong
InvokeEndpointOperator(body="1,2", **e, session=5)  # wrong
InvokeEndpointOperator(body="1,2", **e, wait_for_capacity=[5])  # wrong
CleanUpHostingOperator(keep=2.5, **t)  # wrong
DeleteEndpointOperator(timeout={"hours": 1}, **e)  # wrong
ShiftTrafficOperator(weights=[1], **e)  # wrong
ShiftTrafficOperator(weights={"main": 1}, undo=5, **e)  # wrong
ReportShadowOperator(lookback=[1], **e)  # wrong
PromoteShadowOperator(capacity=5, **e)  # wrong
EndpointInServiceSensor(endpoint_config_name=5, **e)  # wrong
RegisterModelOperator(model_package_group_name=5, **t, containers=[])  # wrong
RegisterModelOperator(model_package_group_name="churn", **t, containers=5)  # wrong
RegisterModelOperator(model_package_group_name="churn", **t, containers=[], metadata=5)  # wrong
RegisterModelOperator(model_package_group_name="churn", **t, containers=[], create_group=[True])  # wrong
ApproveModelOperator(model_package=5, **t)  # wrong
ApproveModelOperator(model_package="churn/3", **t, overrule=1)  # wrong
ModelPackageApprovedSensor(model_package=["churn/3"], **t)  # wrong
ModelPackageEventTrigger(queue=5)  # wrong
ModelPackageEventTrigger(queue="q", groups=5)  # wrong
