"""SageMaker hosting on the developer's own computer: endpoints that really run, with no AWS account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_hosting.local.client.control import NEW_ACCOUNT_QUOTAS as NEW_ACCOUNT_QUOTAS
    from airflow_sm_hosting.local.client.local_aws import LocalAws as LocalAws

__all__ = ["NEW_ACCOUNT_QUOTAS", "LocalAws"]


def __getattr__(name: str) -> Any:
    if name == "LocalAws":
        from airflow_sm_hosting.local.client.local_aws import LocalAws

        return LocalAws
    if name == "NEW_ACCOUNT_QUOTAS":
        from airflow_sm_hosting.local.client.control import NEW_ACCOUNT_QUOTAS

        return NEW_ACCOUNT_QUOTAS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
