"""Create CloudWatch alarms on a production variant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.hooks.parameters import AWS_FIELDS
from airflow_sm_hosting.operators.alarm import AlarmOperator
from airflow_sm_hosting.spec.alarm import (
    alarm_request,
    check_alarm,
    check_named,
    default_alarm_name,
    doubts,
)
from airflow_sm_hosting.spec.arn import ENDPOINT, check_resource
from airflow_sm_hosting.spec.checks import check_boolean, check_name
from airflow_sm_hosting.spec.metric import EndpointMetric, completed_metric, endpoint_metrics
from airflow_sm_hosting.spec.reference import present
from airflow_sm_hosting.spec.rendered import as_boolean, as_integer, as_string

if TYPE_CHECKING:
    from airflow.sdk import Context


class CreateEndpointAlarmOperator(AlarmOperator):
    """Create or update a CloudWatch alarm on a metric of a production variant; write only what differs (``cloudwatch:PutMetricAlarm``).

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:CreateEndpointAlarmOperator`, and the API:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html

    :param endpoint_name: Name of the endpoint, or its ARN. (templated)
    :param variant_name: Name of the production variant. (templated)
    :param metric: An :class:`~airflow_sm_hosting.EndpointMetric`, or a :class:`~airflow_sm_hosting.MetricMath`. (templated)
    :param threshold: The threshold in the metric's own unit (latencies: microseconds), or a timedelta for durations. (templated)
    :param evaluation_periods: Periods that are looked at, 1 or more; periods times their length is a day at most, seven days with periods
        of an hour or more. (templated)
    :param comparison_operator: ``GreaterThanOrEqualToThreshold`` (default), ``GreaterThanThreshold``, ``LessThanThreshold`` or
        ``LessThanOrEqualToThreshold``. (templated)
    :param datapoints_to_alarm: How many of the periods must breach, 1 to ``evaluation_periods`` (default: AWS's, all). (templated)
    :param treat_missing_data: ``breaching``, ``notBreaching``, ``ignore`` or ``missing`` (default: AWS's, missing). (templated)
    :param evaluate_low_sample_count_percentile: ``evaluate`` or ``ignore``, with a percentile only: what is done while there are too few
        data for it (default: AWS's, evaluate). (templated)
    :param alarm_actions: ARNs to notify when it goes to ALARM, 5 at most. (templated)
    :param ok_actions: ARNs to notify when it goes to OK, 5 at most. (templated)
    :param insufficient_data_actions: ARNs to notify when it goes to INSUFFICIENT_DATA, 5 at most. (templated)
    :param actions_enabled: Whether actions are carried out (default: AWS's, True). (templated)
    :param alarm_name: Name of the alarm, 1 to 255 characters (default: ``<endpoint>-<variant>-<metric>``, or with the label of an
        expression). The default does not tell two alarms on one metric apart: give them names. (templated)
    :param alarm_description: A description, 1024 characters at most. (templated)
    :param tags: Tags, as a dict, 48 at most; on an alarm that exists they are reconciled. (templated)
    :param check_endpoint: Whether endpoint and variant must exist and publish the metric (default: True; one more call). False for an
        alarm that is made before its endpoint. (templated)
    :param adopt: Whether an alarm of that name that this package did not make is taken over (default: False). (templated)
    :raises InvalidSpecError: For an alarm that CloudWatch would refuse or that could never fire; unless it is the endpoint's kind that does
        not publish the metric, before the first AWS call.
    :raises NotFoundError: With ``check_endpoint``, when there is no such endpoint or variant.
    :raises ConflictError: When the alarm was made by others, or by another task under the default name, and is not what was asked for.
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
        "evaluate_low_sample_count_percentile",
        *AlarmOperator.alarm_fields,
        "check_endpoint",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"metric": "json", "tags": "json"}

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
        evaluate_low_sample_count_percentile: str | None = None,
        alarm_actions: Any = (),
        ok_actions: Any = (),
        insufficient_data_actions: Any = (),
        actions_enabled: bool | str | None = None,
        alarm_name: str | None = None,
        alarm_description: str | None = None,
        tags: Any = None,
        check_endpoint: bool | str = True,
        adopt: bool | str = False,
        **kwargs: Any,
    ) -> None:
        where = type(self).__name__
        check_resource(f"{where}: endpoint_name", endpoint_name, ENDPOINT)
        check_name(f"{where}: variant_name", variant_name)
        check_alarm(
            where,
            metric=metric,
            threshold=threshold,
            evaluation_periods=evaluation_periods,
            comparison_operator=comparison_operator,
            datapoints_to_alarm=datapoints_to_alarm,
            treat_missing_data=treat_missing_data,
            evaluate_low_sample_count_percentile=evaluate_low_sample_count_percentile,
        )
        check_named(where, metric, alarm_name)
        check_boolean(f"{where}: check_endpoint", check_endpoint)
        super().__init__(
            alarm_actions=alarm_actions,
            ok_actions=ok_actions,
            insufficient_data_actions=insufficient_data_actions,
            actions_enabled=actions_enabled,
            alarm_name=alarm_name,
            alarm_description=alarm_description,
            tags=tags,
            adopt=adopt,
            **kwargs,
        )
        self.endpoint_name = endpoint_name
        self.variant_name = variant_name
        self.metric = metric
        self.threshold = threshold
        self.evaluation_periods = evaluation_periods
        self.comparison_operator = comparison_operator
        self.datapoints_to_alarm = datapoints_to_alarm
        self.treat_missing_data = treat_missing_data
        self.evaluate_low_sample_count_percentile = evaluate_low_sample_count_percentile
        self.check_endpoint = check_endpoint

    def execute(self, context: Context) -> str:
        """Compare the alarm with what is there, and put it if it differs."""
        from airflow_sm_hosting.hooks.requests import prepared

        request = prepared("cloudwatch", "PutMetricAlarm", self._request())
        endpoint, variant = self._names()
        metric = completed_metric(self.metric, endpoint, variant)
        checked = as_boolean("check_endpoint", self.check_endpoint)
        tags = self._user_tags()
        adopt = as_boolean("adopt", self.adopt)
        self.check_arns("endpoint_name")
        for doubt in doubts(metric):
            self.log.warning(doubt)
        # Metrics that are all of another account are of an endpoint there.
        elsewhere = all(one.get("AccountId") for one in endpoint_metrics(metric))
        described = self._published_endpoint(metric, endpoint, variant) if checked and not elsewhere else None

        hook = self.cloudwatch_hook
        self._persist_link(context, hook, request["AlarmName"])
        found = hook.describe_metric_alarm(request["AlarmName"])
        plan = self._plan(context, hook, "PutMetricAlarm", request, found, tags=tags, adopt=adopt)
        if plan.put and described:
            self._warn_without_gpu(metric, described, variant)
        self._carry_out(context, hook, "PutMetricAlarm", request, found, plan)
        self.tell_details(context, {"written": plan.put, "threshold": request["Threshold"]})
        return str(request["AlarmName"])

    def _names(self) -> tuple[str, str]:
        """Return the names of endpoint and variant."""
        variant = as_string("variant_name", self.variant_name)
        check_name("variant_name", variant)
        return self.resource_name("endpoint_name", ENDPOINT), variant

    def _request(self) -> dict[str, Any]:
        endpoint, variant = self._names()
        metric = completed_metric(self.metric, endpoint, variant)
        periods = as_integer("evaluation_periods", self.evaluation_periods, 1)
        datapoints = self.datapoints_to_alarm
        if datapoints is not None:
            datapoints = as_integer("datapoints_to_alarm", datapoints, 1)
        check_alarm(
            type(self).__name__,
            metric=metric,
            threshold=self.threshold,
            evaluation_periods=periods,
            comparison_operator=self.comparison_operator,
            datapoints_to_alarm=datapoints,
            treat_missing_data=self.treat_missing_data,
            evaluate_low_sample_count_percentile=self.evaluate_low_sample_count_percentile,
        )
        check_named(type(self).__name__, metric, self.alarm_name)
        name = (
            default_alarm_name(metric, endpoint, variant)
            if self.alarm_name is None
            else as_string("alarm_name", self.alarm_name)
        )
        return {
            **self._shared_request(name),
            **alarm_request(metric, threshold=self.threshold),
            **present(
                EvaluationPeriods=periods,
                DatapointsToAlarm=datapoints,
                ComparisonOperator=self.comparison_operator,
                TreatMissingData=self.treat_missing_data,
                EvaluateLowSampleCountPercentile=self.evaluate_low_sample_count_percentile,
            ),
        }

    def _published_endpoint(
        self, metric: dict[str, Any], endpoint_name: str, variant_name: str
    ) -> dict[str, Any] | None:
        """Return the endpoint that publishes the metric."""
        from airflow_sm_hosting.deployment.alarm import check_published

        described = self.sagemaker_hook.describe_endpoint(endpoint_name)
        check_published(metric, described, endpoint_name, variant_name)
        return described

    def _warn_without_gpu(self, metric: dict[str, Any], endpoint: dict[str, Any], variant_name: str) -> None:
        from airflow_sm_hosting.deployment.alarm import needs_instance_type, without_gpu

        if not needs_instance_type(metric) or not endpoint.get("EndpointConfigName"):
            return
        config = self.sagemaker_hook.describe_endpoint_config(endpoint["EndpointConfigName"])
        if instance_type := without_gpu(config, variant_name):
            # Assumed: AWS defines the metrics by the instance's GPUs, and does not say that others publish none.
            self.log.warning(
                "The variant %s runs on %s, which has no GPU: an alarm on a GPU metric never sees data there.",
                variant_name,
                instance_type,
            )


class CreateLatencyAlarmOperator(CreateEndpointAlarmOperator):
    """Create or update a CloudWatch alarm on the model's latency (``cloudwatch:PutMetricAlarm``).

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:CreateLatencyAlarmOperator`, and the API:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html

    :param endpoint_name: Name of the endpoint, or its ARN. (templated)
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
