"""The whole chain from one call."""

from __future__ import annotations

from airflow_sm_hosting.task_groups.model_hosting import ModelHostingTaskGroup
from airflow_sm_hosting.task_groups.waves import deploy_in_waves

__all__ = ["ModelHostingTaskGroup", "deploy_in_waves"]
