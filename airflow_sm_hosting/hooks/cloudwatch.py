"""CloudWatch: alarms."""

from __future__ import annotations

from typing import Any

from airflow_sm_hosting.hooks.clients import SharedClients


class CloudWatchHook(SharedClients):
    """Interact with Amazon CloudWatch.

    Provide thin wrapper around :external+boto3:py:class:`boto3.client("cloudwatch") <CloudWatch.Client>`.

    .. seealso:: :class:`airflow_sm_hosting.hooks.clients.SharedClients` for the parameters.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "client_type": "cloudwatch"})

    def describe_metric_alarm(self, name: str) -> dict[str, Any] | None:
        """Return the metric alarm of that name (``cloudwatch:DescribeAlarms``), or None."""
        found = self.conn.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
        return found[0] if found else None

    def tags(self, arn: str) -> dict[str, str]:
        """Return an alarm's tags (``cloudwatch:ListTagsForResource``)."""
        found = self.conn.list_tags_for_resource(ResourceARN=arn)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}
