"""Airflow tasks that deploy machine-learning models to Amazon SageMaker hosting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from airflow_sm_hosting.metrics import get_metric
    from airflow_sm_hosting.notifications import deployment_message
    from airflow_sm_hosting.operators.approve_deployment import ApproveDeploymentOperator
    from airflow_sm_hosting.operators.approve_model import ApproveModelOperator
    from airflow_sm_hosting.operators.build_image import BuildImageOperator
    from airflow_sm_hosting.operators.check_container import CheckContainerOperator
    from airflow_sm_hosting.operators.clean_up_hosting import CleanUpHostingOperator
    from airflow_sm_hosting.operators.configure_autoscaling import ConfigureAutoscalingOperator
    from airflow_sm_hosting.operators.copy_image import CopyImageOperator
    from airflow_sm_hosting.operators.copy_model_data import CopyModelDataOperator
    from airflow_sm_hosting.operators.create_alarm import (
        CreateEndpointAlarmOperator,
        CreateLatencyAlarmOperator,
    )
    from airflow_sm_hosting.operators.create_composite_alarm import CreateCompositeAlarmOperator
    from airflow_sm_hosting.operators.create_endpoint_config import CreateEndpointConfigOperator
    from airflow_sm_hosting.operators.create_endpoint_dashboard import CreateEndpointDashboardOperator
    from airflow_sm_hosting.operators.create_model import CreateModelOperator
    from airflow_sm_hosting.operators.delete_endpoint import DeleteEndpointOperator
    from airflow_sm_hosting.operators.delete_inference_component import DeleteInferenceComponentOperator
    from airflow_sm_hosting.operators.deploy_endpoint import DeployEndpointOperator
    from airflow_sm_hosting.operators.deploy_inference_component import DeployInferenceComponentOperator
    from airflow_sm_hosting.operators.ensure_execution_role import EnsureExecutionRoleOperator
    from airflow_sm_hosting.operators.grant_access import GrantAccessOperator
    from airflow_sm_hosting.operators.invoke_endpoint import InvokeEndpointOperator
    from airflow_sm_hosting.operators.plan_deployment import PlanDeploymentOperator
    from airflow_sm_hosting.operators.plan_inference_component import PlanInferenceComponentOperator
    from airflow_sm_hosting.operators.promote_shadow import PromoteShadowOperator
    from airflow_sm_hosting.operators.register_model import RegisterModelOperator
    from airflow_sm_hosting.operators.remove_autoscaling import RemoveAutoscalingOperator
    from airflow_sm_hosting.operators.report_shadow import ReportShadowOperator
    from airflow_sm_hosting.operators.rollback_endpoint import RollbackEndpointOperator
    from airflow_sm_hosting.operators.rollback_inference_component import RollbackInferenceComponentOperator
    from airflow_sm_hosting.operators.shift_traffic import ShiftTrafficOperator
    from airflow_sm_hosting.operators.upload_model_data import UploadModelDataOperator
    from airflow_sm_hosting.sensors.endpoint import EndpointInServiceSensor
    from airflow_sm_hosting.sensors.endpoint_drift import EndpointDriftSensor
    from airflow_sm_hosting.sensors.inference_component import InferenceComponentInServiceSensor
    from airflow_sm_hosting.sensors.model_package import ModelPackageApprovedSensor
    from airflow_sm_hosting.spec.alarm_rule import AlarmRule
    from airflow_sm_hosting.spec.async_inference import AsyncInference
    from airflow_sm_hosting.spec.container import ContainerDefinition, ContainerImage, ModelData
    from airflow_sm_hosting.spec.container_access import ImageAccess, MultiModel
    from airflow_sm_hosting.spec.data_capture import DataCapture
    from airflow_sm_hosting.spec.expectation import Expectation
    from airflow_sm_hosting.spec.explainer import Explainer
    from airflow_sm_hosting.spec.fleet_alarm import NewFleetAlarm
    from airflow_sm_hosting.spec.from_zero import ScaleFromZero
    from airflow_sm_hosting.spec.inference_component import (
        ComputeRequirements,
        InferenceComponentSpecification,
    )
    from airflow_sm_hosting.spec.instance_capacity import (
        CapacityReservation,
        InstancePool,
        ManagedInstanceScaling,
    )
    from airflow_sm_hosting.spec.metric import EndpointMetric, MetricMath
    from airflow_sm_hosting.spec.metrics_publishing import Metrics
    from airflow_sm_hosting.spec.model_package import ModelPackage
    from airflow_sm_hosting.spec.repository_settings import RepositorySettings
    from airflow_sm_hosting.spec.rollout import AllAtOnce, Canary, Linear, Rolling
    from airflow_sm_hosting.spec.routing import Routing
    from airflow_sm_hosting.spec.scaling import (
        InvocationsScaling,
        ScheduledScaling,
        StepScaling,
        TargetTrackingScaling,
    )
    from airflow_sm_hosting.spec.serverless_update import ServerlessUpdate
    from airflow_sm_hosting.spec.smoke_test import SmokeTest
    from airflow_sm_hosting.spec.variant import InstanceProductionVariant, ServerlessProductionVariant
    from airflow_sm_hosting.spec.vpc import VpcConfig
    from airflow_sm_hosting.spec.working_hours import WorkingHours
    from airflow_sm_hosting.task_groups.model_hosting import ModelHostingTaskGroup
    from airflow_sm_hosting.task_groups.waves import deploy_in_waves
    from airflow_sm_hosting.triggers.package_events import ModelPackageEventTrigger

#: Where each public name lives; it is imported when it is first used.
_MODULES = {
    "AlarmRule": "spec.alarm_rule",
    "AllAtOnce": "spec.rollout",
    "ApproveDeploymentOperator": "operators.approve_deployment",
    "ApproveModelOperator": "operators.approve_model",
    "AsyncInference": "spec.async_inference",
    "BuildImageOperator": "operators.build_image",
    "Canary": "spec.rollout",
    "CapacityReservation": "spec.instance_capacity",
    "CheckContainerOperator": "operators.check_container",
    "CleanUpHostingOperator": "operators.clean_up_hosting",
    "ComputeRequirements": "spec.inference_component",
    "ConfigureAutoscalingOperator": "operators.configure_autoscaling",
    "ContainerDefinition": "spec.container",
    "ContainerImage": "spec.container",
    "CopyImageOperator": "operators.copy_image",
    "CopyModelDataOperator": "operators.copy_model_data",
    "CreateCompositeAlarmOperator": "operators.create_composite_alarm",
    "CreateEndpointAlarmOperator": "operators.create_alarm",
    "CreateEndpointConfigOperator": "operators.create_endpoint_config",
    "CreateLatencyAlarmOperator": "operators.create_alarm",
    "CreateEndpointDashboardOperator": "operators.create_endpoint_dashboard",
    "CreateModelOperator": "operators.create_model",
    "DataCapture": "spec.data_capture",
    "DeleteEndpointOperator": "operators.delete_endpoint",
    "DeleteInferenceComponentOperator": "operators.delete_inference_component",
    "DeployEndpointOperator": "operators.deploy_endpoint",
    "DeployInferenceComponentOperator": "operators.deploy_inference_component",
    "EndpointDriftSensor": "sensors.endpoint_drift",
    "EndpointInServiceSensor": "sensors.endpoint",
    "EndpointMetric": "spec.metric",
    "EnsureExecutionRoleOperator": "operators.ensure_execution_role",
    "Expectation": "spec.expectation",
    "Explainer": "spec.explainer",
    "ImageAccess": "spec.container_access",
    "GrantAccessOperator": "operators.grant_access",
    "InferenceComponentInServiceSensor": "sensors.inference_component",
    "InferenceComponentSpecification": "spec.inference_component",
    "InstancePool": "spec.instance_capacity",
    "InstanceProductionVariant": "spec.variant",
    "InvocationsScaling": "spec.scaling",
    "InvokeEndpointOperator": "operators.invoke_endpoint",
    "Linear": "spec.rollout",
    "ManagedInstanceScaling": "spec.instance_capacity",
    "MetricMath": "spec.metric",
    "Metrics": "spec.metrics_publishing",
    "ModelData": "spec.container",
    "ModelHostingTaskGroup": "task_groups.model_hosting",
    "ModelPackage": "spec.model_package",
    "ModelPackageApprovedSensor": "sensors.model_package",
    "ModelPackageEventTrigger": "triggers.package_events",
    "MultiModel": "spec.container_access",
    "NewFleetAlarm": "spec.fleet_alarm",
    "PlanDeploymentOperator": "operators.plan_deployment",
    "PlanInferenceComponentOperator": "operators.plan_inference_component",
    "PromoteShadowOperator": "operators.promote_shadow",
    "RegisterModelOperator": "operators.register_model",
    "RemoveAutoscalingOperator": "operators.remove_autoscaling",
    "ReportShadowOperator": "operators.report_shadow",
    "RepositorySettings": "spec.repository_settings",
    "RollbackEndpointOperator": "operators.rollback_endpoint",
    "RollbackInferenceComponentOperator": "operators.rollback_inference_component",
    "Rolling": "spec.rollout",
    "ScaleFromZero": "spec.from_zero",
    "Routing": "spec.routing",
    "ScheduledScaling": "spec.scaling",
    "ServerlessProductionVariant": "spec.variant",
    "ServerlessUpdate": "spec.serverless_update",
    "ShiftTrafficOperator": "operators.shift_traffic",
    "SmokeTest": "spec.smoke_test",
    "StepScaling": "spec.scaling",
    "TargetTrackingScaling": "spec.scaling",
    "UploadModelDataOperator": "operators.upload_model_data",
    "WorkingHours": "spec.working_hours",
    "VpcConfig": "spec.vpc",
    "deploy_in_waves": "task_groups.waves",
    "deployment_message": "notifications",
    "get_metric": "metrics",
}

__all__ = [
    "AlarmRule",
    "AllAtOnce",
    "ApproveDeploymentOperator",
    "ApproveModelOperator",
    "AsyncInference",
    "BuildImageOperator",
    "Canary",
    "CapacityReservation",
    "CheckContainerOperator",
    "CleanUpHostingOperator",
    "ComputeRequirements",
    "ConfigureAutoscalingOperator",
    "ContainerDefinition",
    "ContainerImage",
    "CopyImageOperator",
    "CopyModelDataOperator",
    "CreateCompositeAlarmOperator",
    "CreateEndpointAlarmOperator",
    "CreateEndpointConfigOperator",
    "CreateEndpointDashboardOperator",
    "CreateLatencyAlarmOperator",
    "CreateModelOperator",
    "DataCapture",
    "DeleteEndpointOperator",
    "DeleteInferenceComponentOperator",
    "DeployEndpointOperator",
    "DeployInferenceComponentOperator",
    "EndpointDriftSensor",
    "EndpointInServiceSensor",
    "EndpointMetric",
    "EnsureExecutionRoleOperator",
    "Expectation",
    "Explainer",
    "GrantAccessOperator",
    "ImageAccess",
    "InferenceComponentInServiceSensor",
    "InferenceComponentSpecification",
    "InstancePool",
    "InstanceProductionVariant",
    "InvocationsScaling",
    "InvokeEndpointOperator",
    "Linear",
    "ManagedInstanceScaling",
    "MetricMath",
    "Metrics",
    "ModelData",
    "ModelHostingTaskGroup",
    "ModelPackage",
    "ModelPackageApprovedSensor",
    "ModelPackageEventTrigger",
    "MultiModel",
    "NewFleetAlarm",
    "PlanDeploymentOperator",
    "PlanInferenceComponentOperator",
    "PromoteShadowOperator",
    "RegisterModelOperator",
    "RemoveAutoscalingOperator",
    "ReportShadowOperator",
    "RepositorySettings",
    "RollbackEndpointOperator",
    "RollbackInferenceComponentOperator",
    "Rolling",
    "Routing",
    "ScaleFromZero",
    "ScheduledScaling",
    "ServerlessProductionVariant",
    "ServerlessUpdate",
    "ShiftTrafficOperator",
    "SmokeTest",
    "StepScaling",
    "TargetTrackingScaling",
    "UploadModelDataOperator",
    "VpcConfig",
    "WorkingHours",
    "__version__",
    "deploy_in_waves",
    "deployment_message",
    "get_metric",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
