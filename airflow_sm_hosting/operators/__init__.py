"""One operator a file; each is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

__all__ = [
    "ApproveDeploymentOperator",
    "ApproveModelOperator",
    "BuildImageOperator",
    "CheckContainerOperator",
    "CleanUpHostingOperator",
    "ConfigureAutoscalingOperator",
    "CopyImageOperator",
    "CopyModelDataOperator",
    "CreateCompositeAlarmOperator",
    "CreateEndpointAlarmOperator",
    "CreateEndpointConfigOperator",
    "CreateEndpointDashboardOperator",
    "CreateLatencyAlarmOperator",
    "CreateModelOperator",
    "DeleteEndpointOperator",
    "DeleteInferenceComponentOperator",
    "DeployEndpointOperator",
    "DeployInferenceComponentOperator",
    "EnsureExecutionRoleOperator",
    "GrantAccessOperator",
    "InvokeEndpointOperator",
    "PlanDeploymentOperator",
    "PlanInferenceComponentOperator",
    "PromoteShadowOperator",
    "RegisterModelOperator",
    "RemoveAutoscalingOperator",
    "ReportShadowOperator",
    "RollbackEndpointOperator",
    "RollbackInferenceComponentOperator",
    "ShiftTrafficOperator",
    "UploadModelDataOperator",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import airflow_sm_hosting

    return getattr(airflow_sm_hosting, name)
