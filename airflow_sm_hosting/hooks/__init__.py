"""Thin hooks for AWS, one per service, loaded when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.application_auto_scaling import ApplicationAutoScalingHook
    from airflow_sm_hosting.hooks.cloudwatch import CloudWatchHook
    from airflow_sm_hosting.hooks.codebuild import CodeBuildHook
    from airflow_sm_hosting.hooks.ecr import EcrRepositoryHook
    from airflow_sm_hosting.hooks.iam import IamHook
    from airflow_sm_hosting.hooks.model_registry import ModelRegistryHook, QueueHook
    from airflow_sm_hosting.hooks.s3 import ModelDataHook
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook, SageMakerRuntimeHook

__all__ = [
    "ApplicationAutoScalingHook",
    "CloudWatchHook",
    "CodeBuildHook",
    "EcrRepositoryHook",
    "IamHook",
    "ModelDataHook",
    "ModelRegistryHook",
    "QueueHook",
    "SageMakerHostingHook",
    "SageMakerRuntimeHook",
]

_MODULES = {
    "ApplicationAutoScalingHook": "application_auto_scaling",
    "CloudWatchHook": "cloudwatch",
    "CodeBuildHook": "codebuild",
    "EcrRepositoryHook": "ecr",
    "IamHook": "iam",
    "ModelDataHook": "s3",
    "ModelRegistryHook": "model_registry",
    "QueueHook": "model_registry",
    "SageMakerHostingHook": "sagemaker",
    "SageMakerRuntimeHook": "sagemaker",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
