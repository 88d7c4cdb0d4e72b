"""The account's quotas of SageMaker hosting, and their refusals."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from airflow_sm_hosting.local.wire.errors import AwsError

# Quoted in aws/sagemaker-python-sdk issues and Stack Overflow; that a new account has three of them: plantonhq/planton, 2026.
SERVERLESS_MEMORY = "Memory size in MB per serverless endpoint"
SERVERLESS_CONCURRENCY = "Maximum total concurrency that can be allocated across all serverless endpoints"
# The name is assumed.
SERVERLESS_ENDPOINTS = "Maximum number of serverless endpoints"
_UNITS = {SERVERLESS_MEMORY: " MBs", SERVERLESS_CONCURRENCY: "", SERVERLESS_ENDPOINTS: ""}


def instance_quota(instance_type: str) -> str:
    """Return the name of the quota of an instance type."""
    return f"{instance_type} for endpoint usage"


class Quotas:
    """The quotas, by their names in Service Quotas; one that is not set has no limit, as a developer's account would need all raised.

    They are the account's in each Region.
    """

    def __init__(self) -> None:
        self._values: dict[str, int] = {}

    @property
    def values(self) -> dict[str, int]:
        """The quotas that are set."""
        return dict(self._values)

    def set(self, values: Mapping[str, int]) -> None:
        """Set the quotas, in place of those before.

        :param values: By name; names may have the wildcards ``*`` and ``?``, and the longest name that matches counts.
        """
        self._values = dict(values)

    def check(self, name: str, used: int, more: int) -> None:
        """Refuse what exceeds a quota.

        :param used: How much is used.
        :param more: How much a request adds.
        :raises AwsError: ``ResourceLimitExceeded``.
        """
        found = [pattern for pattern in self._values if fnmatchcase(name, pattern)]
        limit = self._values[max(found, key=len)] if found else None
        if limit is None or more <= 0 or used + more <= limit:
            return
        unit = _UNITS.get(name, " Instances")
        # aws-samples/sagemaker-custom-project-templates#51, aws-samples/aws-genai-llm-chatbot#244
        raise AwsError(
            "ResourceLimitExceeded",
            f"The account-level service limit '{name}' is {limit}{unit}, with current utilization of {used}{unit} and a request "
            f"delta of {more}{unit}. Please use AWS Service Quotas to request an increase for this quota. If AWS Service Quotas is "
            "not available, contact AWS support to request an increase for this quota.",
        )
