"""The whole chain from one call."""

from __future__ import annotations

from airflow_sm_hosting.task_groups.model_hosting import ModelHostingTaskGroup

__all__ = ["ModelHostingTaskGroup"]
