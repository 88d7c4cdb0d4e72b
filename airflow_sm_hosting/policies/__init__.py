"""IAM policies with least privilege, as plain dicts: for execution roles, callers of endpoints, repositories, and Airflow workers.

Nothing here calls AWS. The documents are for ``EnsureExecutionRoleOperator``, Terraform, CloudFormation or the console.
"""

from __future__ import annotations

from airflow_sm_hosting.policies.building import build_role, build_trust
from airflow_sm_hosting.policies.document import check_document, check_size, merged, same, with_sids
from airflow_sm_hosting.policies.execution import execution_role, image_pull, invoke_endpoint, trust
from airflow_sm_hosting.policies.permissions import PERMISSIONS, Permission
from airflow_sm_hosting.policies.sharing import key_use, model_data_read, package_group_use
from airflow_sm_hosting.policies.worker import worker

__all__ = [
    "PERMISSIONS",
    "Permission",
    "build_role",
    "build_trust",
    "check_document",
    "check_size",
    "execution_role",
    "image_pull",
    "invoke_endpoint",
    "key_use",
    "merged",
    "model_data_read",
    "package_group_use",
    "same",
    "trust",
    "with_sids",
    "worker",
]
