"""Create CloudWatch alarms on a production variant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.hooks.parameters import AWS_FIELDS
from airflow_sm_hosting.links import AlarmLink
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.metric import (
    COMPARISON_OPERATORS,
    MISSING_DATA_TREATMENTS,
    EndpointMetric,
    alarm_request,
    check_window,
    threshold_value,
)
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.rules import (
    as_boolean,
    as_integer,
    as_list,
    as_string,
    as_tags,
    check_boolean,
    check_integer,
    check_name,
    check_one_of,
    check_text,
    invalid,
    is_rendered_later,
    present,
)
from airflow_sm_hosting.spec.tags import OURS

if TYPE_CHECKING:
    from airflow.sdk import Context


class CreateEndpointAlarmOperator(SageMakerHostingBaseOperator):
    """Create or update a CloudWatch alarm on a metric of a production variant; write only what differs (``cloudwatch:PutMetricAlarm``).

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:CreateEndpointAlarmOperator`, and the API:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html

    :param endpoint_name: Name of the endpoint. (templated)
    :param variant_name: Name of the production variant. (templated)
    :param metric: An :class:`~airflow_sm_hosting.EndpointMetric`. (templated)
    :param threshold: The threshold in the metric's own unit (latencies: microseconds), or a timedelta for durations. (templated)
    :param evaluation_periods: Periods that are looked at, 1 or more; periods times their length is a day at most. (templated)
    :param comparison_operator: ``GreaterThanOrEqualToThreshold`` (default), ``GreaterThanThreshold``, ``LessThanThreshold`` or
        ``LessThanOrEqualToThreshold``. (templated)
    :param datapoints_to_alarm: How many of the periods must breach, 1 to ``evaluation_periods`` (default: AWS's, all). (templated)
    :param treat_missing_data: ``breaching``, ``notBreaching``, ``ignore`` or ``missing`` (default: AWS's, missing). (templated)
    :param alarm_actions: ARNs to notify when it goes to ALARM, 5 at most. (templated)
    :param ok_actions: ARNs to notify when it goes to OK, 5 at most. (templated)
    :param insufficient_data_actions: ARNs to notify when it goes to INSUFFICIENT_DATA, 5 at most. (templated)
    :param actions_enabled: Whether actions are carried out (default: AWS's, True). (templated)
    :param alarm_name: Name of the alarm (default: ``<endpoint>-<variant>-<metric>``). (templated)
    :param alarm_description: A description. (templated)
    :param tags: Tags, as a dict; on an alarm that exists they are reconciled. (templated)
    :raises InvalidSpecError: For an alarm that CloudWatch would refuse or that could never fire, before the first AWS call.
    :return: The alarm's name.
    """

    template_fields: Sequence[str] = (
        *AWS_FIELDS,
        "endpoint_name",
        "variant_name",
        "metric",
        "threshold",
        "evaluation_periods",
        "comparison_operator",
        "datapoints_to_alarm",
        "treat_missing_data",
        "alarm_actions",
        "ok_actions",
        "insufficient_data_actions",
        "actions_enabled",
        "alarm_name",
        "alarm_description",
        "tags",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"metric": "json", "tags": "json"}
    operator_extra_links = (AlarmLink(),)

    def __init__(
        self,
        *,
        endpoint_name: str,
        variant_name: str,
        metric: Any,
        threshold: float | timedelta | str,
        evaluation_periods: int | str,
        comparison_operator: str = "GreaterThanOrEqualToThreshold",
        datapoints_to_alarm: int | str | None = None,
        treat_missing_data: str | None = None,
        alarm_actions: Any = (),
        ok_actions: Any = (),
        insufficient_data_actions: Any = (),
        actions_enabled: bool | str | None = None,
        alarm_name: str | None = None,
        alarm_description: str | None = None,
        tags: Any = None,
        **kwargs: Any,
    ) -> None:
        where = type(self).__name__
        check_name(f"{where}: endpoint_name", endpoint_name)
        check_name(f"{where}: variant_name", variant_name)
        if not is_rendered_later(metric) and kind_of(metric) != "EndpointMetric":
            raise invalid(f"{where}: metric", metric, "an EndpointMetric, e.g. EndpointMetric.invocations()")
        check_integer(f"{where}: evaluation_periods", evaluation_periods, 1)
        _check_choices(where, comparison_operator, treat_missing_data)
        if datapoints_to_alarm is not None:
            check_integer(f"{where}: datapoints_to_alarm", datapoints_to_alarm, 1)
        if actions_enabled is not None:
            check_boolean(f"{where}: actions_enabled", actions_enabled)
        if alarm_name is not None:
            check_text(
                f"{where}: alarm_name",
                alarm_name,
                pattern=r".+",
                max_length=255,
                allowed="1 to 255 characters",
            )
        if isinstance(metric, dict):
            period, name = metric["Period"], metric["MetricName"]
            if isinstance(period, int) and isinstance(evaluation_periods, int):
                literal = datapoints_to_alarm if isinstance(datapoints_to_alarm, int) else None
                check_window(period, evaluation_periods, literal, where=where)
            if not is_rendered_later(threshold) and not is_rendered_later(name):
                threshold_value(name, threshold)
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.variant_name = variant_name
        self.metric = metric
        self.threshold = threshold
        self.evaluation_periods = evaluation_periods
        self.comparison_operator = comparison_operator
        self.datapoints_to_alarm = datapoints_to_alarm
        self.treat_missing_data = treat_missing_data
        self.alarm_actions = alarm_actions
        self.ok_actions = ok_actions
        self.insufficient_data_actions = insufficient_data_actions
        self.actions_enabled = actions_enabled
        self.alarm_name = alarm_name
        self.alarm_description = alarm_description
        self.tags = tags

    def execute(self, context: Context) -> str:
        """Compare the alarm with what is there, and put it if it differs."""
        from airflow_sm_hosting.deployment.difference import ABSENT, differences, unwanted
        from airflow_sm_hosting.hooks.requests import prepared
        from airflow_sm_hosting.hooks.sagemaker import tag_list
        from airflow_sm_hosting.hooks.service_model import input_shape

        request = prepared("cloudwatch", "PutMetricAlarm", self._request())
        name = request["AlarmName"]
        tags = {**as_tags("tags", self.tags), **OURS}
        hook = self.cloudwatch_hook
        for link in self.operator_extra_links:
            link.persist(
                context, partition=hook.conn_partition, region=hook.conn_region_name, alarm_name=name
            )
        found = hook.describe_metric_alarm(name)
        lines = ABSENT
        if found:
            members = input_shape("cloudwatch", "PutMetricAlarm").members
            lines = differences(request, found) + unwanted(request, found, members)
        if lines:
            # PutMetricAlarm replaces the whole alarm and keeps its state; tags are taken on creation only.
            hook.conn.put_metric_alarm(**request, **({} if found else {"Tags": tag_list(tags)}))
            self.log.info("Put alarm %s: %s", name, "; ".join(lines))
        else:
            self.log.info("Alarm %s is as asked; nothing to do", name)
        if found:
            there = hook.tags(found["AlarmArn"])
            missing = {key: value for key, value in tags.items() if there.get(key) != value}
            if missing:
                hook.conn.tag_resource(ResourceARN=found["AlarmArn"], Tags=tag_list(missing))
        self.tell_details(context, {"written": bool(lines), "threshold": request["Threshold"]})
        return str(name)

    def _request(self) -> dict[str, Any]:
        endpoint = as_string("endpoint_name", self.endpoint_name)
        variant = as_string("variant_name", self.variant_name)
        check_name("endpoint_name", endpoint)
        check_name("variant_name", variant)
        _check_choices(type(self).__name__, self.comparison_operator, self.treat_missing_data)
        metric = alarm_request(
            self.metric, endpoint_name=endpoint, variant_name=variant, threshold=self.threshold
        )
        periods = as_integer("evaluation_periods", self.evaluation_periods, 1)
        datapoints = self.datapoints_to_alarm
        if datapoints is not None:
            datapoints = as_integer("datapoints_to_alarm", datapoints, 1)
        check_window(metric["Period"], periods, datapoints)
        enabled = self.actions_enabled
        return present(
            AlarmName=self.alarm_name or f"{endpoint}-{variant}-{metric['MetricName']}",
            AlarmDescription=self.alarm_description,
            **metric,
            EvaluationPeriods=periods,
            DatapointsToAlarm=datapoints,
            ComparisonOperator=self.comparison_operator,
            TreatMissingData=self.treat_missing_data,
            ActionsEnabled=None if enabled is None else as_boolean("actions_enabled", enabled),
            AlarmActions=as_list("alarm_actions", self.alarm_actions),
            OKActions=as_list("ok_actions", self.ok_actions),
            InsufficientDataActions=as_list("insufficient_data_actions", self.insufficient_data_actions),
        )


def _check_choices(where: str, comparison_operator: Any, treat_missing_data: Any) -> None:
    check_one_of(f"{where}: comparison_operator", comparison_operator, COMPARISON_OPERATORS)
    if treat_missing_data is not None:
        check_one_of(f"{where}: treat_missing_data", treat_missing_data, MISSING_DATA_TREATMENTS)


class CreateLatencyAlarmOperator(CreateEndpointAlarmOperator):
    """Create or update a CloudWatch alarm on the model's latency (``cloudwatch:PutMetricAlarm``).

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:CreateLatencyAlarmOperator`, and the API:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html

    :param endpoint_name: Name of the endpoint. (templated)
    :param variant_name: Name of the production variant. (templated)
    :param threshold: The threshold in microseconds, the unit of ModelLatency, or a timedelta: 100000 and
        ``timedelta(milliseconds=100)`` are the same. (templated)
    :param evaluation_periods: Periods that are looked at, 1 or more. (templated)
    :param statistic: ``Average`` (default), ``Sum``, ``Minimum``, ``Maximum``, ``SampleCount``, or an extended one such as ``p99``.
    :param period: Seconds or a timedelta: 10, 20, 30, or a multiple of 60 (default: 300).
    :param kwargs: The other parameters of :class:`CreateEndpointAlarmOperator`.
    :raises InvalidSpecError: For an alarm that CloudWatch would refuse or that could never fire, before the first AWS call.
    :return: The alarm's name.
    """

    def __init__(
        self,
        *,
        endpoint_name: str,
        variant_name: str,
        threshold: float | timedelta | str,
        evaluation_periods: int | str,
        statistic: str = "Average",
        period: int | timedelta = 300,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("metric", EndpointMetric.model_latency(statistic=statistic, period=period))
        super().__init__(
            endpoint_name=endpoint_name,
            variant_name=variant_name,
            threshold=threshold,
            evaluation_periods=evaluation_periods,
            **kwargs,
        )
