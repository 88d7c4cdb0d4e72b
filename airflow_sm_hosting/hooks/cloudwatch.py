"""CloudWatch: alarms and the values of metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import ClientError

from airflow_sm_hosting.exceptions import SageMakerHostingError
from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.hooks.errors import error_code
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.spec.metric import completed_metric, metric_queries
from airflow_sm_hosting.spec.metric_window import metric_window

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_cloudwatch.type_defs import (
        CompositeAlarmTypeDef,
        DescribeAlarmsOutputTypeDef,
        MetricAlarmTypeDef,
    )

    Alarm: TypeAlias = MetricAlarmTypeDef | CompositeAlarmTypeDef

#: Maximum number of names in one DescribeAlarms call (botocore, AlarmNames).
MAX_NAMES = 100


class CloudWatchHook(SharedClients):
    """Interact with Amazon CloudWatch.

    Provide thin wrapper around :external+boto3:py:class:`boto3.client("cloudwatch") <CloudWatch.Client>`.

    .. seealso:: :class:`airflow_sm_hosting.hooks.clients.SharedClients` for the parameters.
    """

    conn: CloudWatchClient

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "client_type": "cloudwatch"})

    def describe_metric_alarm(self, name: str) -> MetricAlarmTypeDef | None:
        """Return the metric alarm with this name (``cloudwatch:DescribeAlarms``), or None."""
        found = self.conn.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
        return found[0] if found else None

    def describe_alarms(self, names: Sequence[str]) -> dict[str, Alarm]:
        """Return the alarms with these names, metric and composite, by name (``cloudwatch:DescribeAlarms`` on ``*``)."""
        found: dict[str, Alarm] = {}
        for start in range(0, len(names), MAX_NAMES):
            pages = self.conn.get_paginator("describe_alarms").paginate(
                AlarmNames=list(names[start : start + MAX_NAMES]),
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                PaginationConfig={"PageSize": MAX_NAMES},
            )
            for page in pages:
                found |= {alarm["AlarmName"]: alarm for alarm in _both(page)}
        return found

    def tags(self, arn: str) -> dict[str, str]:
        """Return an alarm's tags (``cloudwatch:ListTagsForResource``)."""
        found = self.conn.list_tags_for_resource(ResourceARN=arn)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def dashboard(self, name: str) -> str | None:
        """Return the body of a dashboard (``cloudwatch:GetDashboard``), or None."""
        try:
            return self.conn.get_dashboard(DashboardName=name)["DashboardBody"]
        except ClientError as error:
            # The model gives the name of the shape, the service the code "ResourceNotFound" (botocore, DashboardNotFoundError).
            if error_code(error) not in ("ResourceNotFound", "DashboardNotFoundError"):
                raise
            return None

    def put_dashboard(self, name: str, body: str) -> list[str]:
        """Create or replace a dashboard (``cloudwatch:PutDashboard``), and return CloudWatch's warnings about its body."""
        answer = self.conn.put_dashboard(DashboardName=name, DashboardBody=body)
        return [
            f"{one.get('Message')} ({one.get('DataPath')})"
            for one in answer.get("DashboardValidationMessages") or []
        ]

    def alarm_names(self, prefix: str) -> list[str]:
        """Return the names of the metric alarms with this prefix."""
        return [
            alarm["AlarmName"] for alarm in self._alarms(AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm"])
        ]

    def alarms_with_action(self, arn: str, *, composite: bool = True) -> list[Alarm]:
        """Return the alarms that have an action with this ARN.

        :param arn: The ARN.
        :param composite: Whether to look at composite alarms, too, for which the caller must be allowed ``cloudwatch:DescribeAlarms`` on ``*``.
        """
        types = ["MetricAlarm", "CompositeAlarm"] if composite else ["MetricAlarm"]

        def actions(alarm: Mapping[str, Any]) -> list[str]:
            members = ("AlarmActions", "OKActions", "InsufficientDataActions")
            return [action for member in members for action in alarm.get(member) or []]

        return [alarm for alarm in self._alarms(ActionPrefix=arn, AlarmTypes=types) if arn in actions(alarm)]

    def alarms_on_endpoint(self, endpoint_name: str) -> list[Alarm]:
        """Return the metric alarms that have the endpoint, by its name in any case, among their dimensions; this lists all alarms."""
        wanted = ("EndpointName", endpoint_name.lower())

        def dimensions(alarm: Mapping[str, Any]) -> list[Any]:
            metrics = [
                query["MetricStat"]["Metric"] for query in alarm.get("Metrics") or [] if "MetricStat" in query
            ]
            return [
                (one["Name"], one["Value"].lower())
                for metric in (alarm, *metrics)
                for one in metric.get("Dimensions") or []
            ]

        return [alarm for alarm in self._alarms(AlarmTypes=["MetricAlarm"]) if wanted in dimensions(alarm)]

    def _alarms(self, **request: Any) -> list[Alarm]:
        pages = self.conn.get_paginator("describe_alarms").paginate(
            **{"AlarmTypes": ["MetricAlarm", "CompositeAlarm"], **request}
        )
        return [alarm for page in pages for alarm in _both(page)]

    def get_metric(
        self,
        metric: dict[str, Any],
        endpoint_name: str,
        variant_name: str,
        *,
        lookback: float | timedelta | None = None,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
    ) -> list[tuple[datetime, float]]:
        """Return the values of a metric, oldest first (``cloudwatch:GetMetricData``, paged).

        Periods without data are absent.

        :param metric: An :class:`~airflow_sm_hosting.EndpointMetric` or a :class:`~airflow_sm_hosting.MetricMath`.
        :param endpoint_name: Value of the dimension EndpointName, in its exact case.
        :param variant_name: Value of the dimension VariantName.
        :param lookback: Seconds or a timedelta before ``end`` (default: an hour, where ``start`` is not given).
        :param start: A datetime with a time zone, or the same in ISO 8601; rounded down to a whole period.
        :param end: The same, exclusive (default: now).
        :raises InvalidSpecError: Before the first call, for parameters that CloudWatch would refuse or has no data for.
        :raises SageMakerHostingError: When CloudWatch gives no complete answer.
        """
        completed = completed_metric(metric, endpoint_name, variant_name)
        begins, ends = metric_window(completed, lookback=lookback, start=start, end=end)
        queries = metric_queries(completed)
        request = validated_request(
            "cloudwatch",
            "GetMetricData",
            {
                "MetricDataQueries": queries,
                "StartTime": begins,
                "EndTime": ends,
                "ScanBy": "TimestampAscending",
            },
        )
        points: list[tuple[datetime, float]] = []
        status = "Complete"
        for page in self.conn.get_paginator("get_metric_data").paginate(**request):
            for result in page["MetricDataResults"]:
                if result["Id"] == queries[-1]["Id"]:
                    points += zip(result["Timestamps"], result["Values"], strict=True)
                    status = result.get("StatusCode", status)
            messages = "; ".join(str(message.get("Value")) for message in page.get("Messages", ()))
            # PartialData means that more pages follow (MetricDataResult, StatusCode).
            if status not in ("Complete", "PartialData"):
                raise SageMakerHostingError(
                    "CloudWatch did not return the values of the metric: "
                    f"{status}{(f' ({messages})' if messages else '')}."
                )
        return points


def _both(page: DescribeAlarmsOutputTypeDef) -> list[Alarm]:
    """Return the metric and composite alarms of a page."""
    return [*page.get("MetricAlarms", ()), *page.get("CompositeAlarms", ())]
