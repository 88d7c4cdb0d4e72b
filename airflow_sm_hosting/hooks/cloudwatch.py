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

    def describe_alarms(self, names: list[str]) -> list[dict[str, Any]]:
        """Return the alarms of those names, metric and composite ones (``cloudwatch:DescribeAlarms``)."""
        return self._alarms(AlarmNames=names)

    def alarm_names(self, prefix: str) -> list[str]:
        """Return the names of the alarms that begin so."""
        return [alarm["AlarmName"] for alarm in self._alarms(AlarmNamePrefix=prefix)]

    def alarms_with_action(self, arn: str) -> list[dict[str, Any]]:
        """Return the alarms that have an action of this ARN."""
        actions = ("AlarmActions", "OKActions", "InsufficientDataActions")
        return [
            alarm
            for alarm in self._alarms(ActionPrefix=arn)
            if any(arn in alarm.get(member, []) for member in actions)
        ]

    def alarms_on_endpoint(self, endpoint_name: str) -> list[dict[str, Any]]:
        """Return the metric alarms that have the endpoint among their dimensions; all alarms are looked through for it."""
        wanted = {"Name": "EndpointName", "Value": endpoint_name}

        def dimensions(alarm: dict[str, Any]) -> list[Any]:
            metrics = [
                query["MetricStat"]["Metric"] for query in alarm.get("Metrics") or [] if "MetricStat" in query
            ]
            return [one for metric in (alarm, *metrics) for one in metric.get("Dimensions") or []]

        return [alarm for alarm in self._alarms() if "AlarmRule" not in alarm and wanted in dimensions(alarm)]

    def put_alarm_again(self, alarm: dict[str, Any]) -> None:
        """Put an alarm as it is described, changed: PutMetricAlarm and PutCompositeAlarm overwrite the whole of it."""
        from airflow_sm_hosting.hooks.service_model import input_shape

        composite = "AlarmRule" in alarm
        operation = "PutCompositeAlarm" if composite else "PutMetricAlarm"
        put = self.conn.put_composite_alarm if composite else self.conn.put_metric_alarm
        members = input_shape("cloudwatch", operation).members
        # An alarm on metric maths is described with empty members of the other form.
        put(
            **{
                name: value
                for name, value in alarm.items()
                if name in members and value not in (None, [], "")
            }
        )

    def _alarms(self, **request: Any) -> list[dict[str, Any]]:
        pages = self.conn.get_paginator("describe_alarms").paginate(
            AlarmTypes=["MetricAlarm", "CompositeAlarm"], **request
        )
        return [alarm for page in pages for alarm in (*page["MetricAlarms"], *page["CompositeAlarms"])]
