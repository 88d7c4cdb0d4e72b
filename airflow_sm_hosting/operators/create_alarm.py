"""Create CloudWatch alarms on a production variant or an inference component."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_sm_hosting.exceptions import NotFoundError
from airflow_sm_hosting.fields import (
    Boolean,
    Choice,
    Field,
    Integer,
    Resource,
    Structure,
    Text,
    Value,
    optional,
)
from airflow_sm_hosting.operators.alarm import AlarmFields, AlarmOperator
from airflow_sm_hosting.operators.known_kind import kind_of_variant
from airflow_sm_hosting.spec.alarm import (
    COMPARISON_OPERATORS,
    LOW_SAMPLE_TREATMENTS,
    MISSING_DATA_TREATMENTS,
    alarm_request,
    check_alarm,
    check_alarm_members,
    check_alarm_name,
    check_named,
    default_alarm_name,
    doubts,
    literal_default_name,
    literal_name,
)
from airflow_sm_hosting.spec.arn import ENDPOINT, INFERENCE_COMPONENT
from airflow_sm_hosting.spec.checks import check_name
from airflow_sm_hosting.spec.hosting_target import check_target
from airflow_sm_hosting.spec.metric import EndpointMetric, completed_metric, endpoint_metrics
from airflow_sm_hosting.spec.published import not_published
from airflow_sm_hosting.spec.reference import present

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.spec.metric import MetricMath

    ComparisonOperator = Literal[
        "GreaterThanOrEqualToThreshold",
        "GreaterThanThreshold",
        "LessThanThreshold",
        "LessThanOrEqualToThreshold",
    ]


class ExtraAlarmMembers(Structure):
    """Members of PutMetricAlarm that have no parameter."""

    def check(self, where: str, value: Any) -> None:
        """Check the names of literal members."""
        super().check(where, value)
        check_alarm_members(where, value)

    def value(self, where: str, given: Any) -> dict[str, Any]:
        """Return the members."""
        members = super().value(where, given)
        check_alarm_members(where, members)
        return members


class CreateEndpointAlarmFields(AlarmFields):
    """The parameters of :class:`CreateEndpointAlarmOperator`."""

    endpoint_name = optional(Resource(ENDPOINT))
    variant_name: Field[str | None] = optional(Text(check_name))
    inference_component_name = optional(Resource(INFERENCE_COMPONENT))
    metric = Value(json=True)
    threshold = Value()
    evaluation_periods = Integer(low=1)
    comparison_operator = Choice(COMPARISON_OPERATORS, default="GreaterThanOrEqualToThreshold")
    datapoints_to_alarm = optional(Integer(low=1))
    treat_missing_data = optional(Choice(MISSING_DATA_TREATMENTS))
    evaluate_low_sample_count_percentile = optional(Choice(LOW_SAMPLE_TREATMENTS))
    check_endpoint = Boolean(default=True)
    extra_members = optional(ExtraAlarmMembers())

    @property
    def watched(self) -> Any:
        """The metric, completed with endpoint and variant once these are known."""
        if not self.rendered:
            return self.metric
        return self.watched_on(None)

    @property
    def target(self) -> tuple[str, ...]:
        """The names that the alarm is about: of endpoint and variant, or of an inference component."""
        component = self.inference_component_name
        return (self.endpoint_name or "", self.variant_name or "") if component is None else (component,)

    def watched_on(self, described_name: str | None) -> Any:
        """Return the metric with the name of the endpoint or component as AWS describes it: dimensions are compared exactly, names not.

        :param described_name: That name; None if it is not known.
        """
        component = self.inference_component_name
        return completed_metric(
            self.metric,
            (described_name if component is None else None) or self.endpoint_name or "",
            self.variant_name or "",
            described=described_name is not None,
            component=None if component is None else described_name or component,
        )

    def check_together(self, where: str) -> None:
        """Check that CloudWatch accepts the alarm, and that it can fire."""
        check_target(
            where,
            endpoint_name=self.endpoint_name,
            variant_name=self.variant_name,
            inference_component_name=self.inference_component_name,
        )
        check_alarm(
            self.operator,
            metric=self.watched,
            threshold=self.threshold,
            evaluation_periods=self.evaluation_periods,
            comparison_operator=self.comparison_operator,
            datapoints_to_alarm=self.datapoints_to_alarm,
            treat_missing_data=self.treat_missing_data,
            evaluate_low_sample_count_percentile=self.evaluate_low_sample_count_percentile,
        )
        check_named(self.operator, self.watched, self.alarm_name)


class CreateEndpointAlarmOperator(AlarmOperator):
    """Create or update a CloudWatch alarm on a metric of a production variant or an inference component; write only differences (``cloudwatch:PutMetricAlarm``).

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#createendpointalarmoperator
        API: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html

    :param endpoint_name: Name of the endpoint, or its ARN. (templated)
    :param variant_name: Name of the production variant. (templated)
    :param inference_component_name: In place of both, the inference component, by name or ARN. (templated)
    :param metric: An :class:`~airflow_sm_hosting.EndpointMetric`, or a :class:`~airflow_sm_hosting.MetricMath`. (templated)
    :param threshold: The threshold in the metric's own unit (latencies: microseconds), or a timedelta for durations. (templated)
    :param evaluation_periods: Number of periods to evaluate, 1 or more; evaluation periods times period is at most a day, or seven days
        with periods of an hour or more. (templated)
    :param comparison_operator: ``GreaterThanOrEqualToThreshold`` (default), ``GreaterThanThreshold``, ``LessThanThreshold`` or
        ``LessThanOrEqualToThreshold``. (templated)
    :param datapoints_to_alarm: How many of the periods must breach, 1 to ``evaluation_periods`` (default: AWS's, all). (templated)
    :param treat_missing_data: ``breaching``, ``notBreaching``, ``ignore`` or ``missing`` (default: AWS's, missing). (templated)
    :param evaluate_low_sample_count_percentile: ``evaluate`` or ``ignore``, only with a percentile: the treatment of too few data
        (default: AWS's, evaluate). (templated)
    :param alarm_actions: ARNs to notify when it goes to ALARM, 5 at most. (templated)
    :param ok_actions: ARNs to notify when it goes to OK, 5 at most. (templated)
    :param insufficient_data_actions: ARNs to notify when it goes to INSUFFICIENT_DATA, 5 at most. (templated)
    :param actions_enabled: Whether actions are carried out (default: AWS's, True). (templated)
    :param alarm_name: Name of the alarm, 1 to 255 characters (default: ``<endpoint>-<variant>-<metric>`` or ``<component>-<metric>``, or with the
        label of an expression). Two alarms on one metric have the same default name: give them names. (templated)
    :param alarm_description: A description, 1024 characters at most. (templated)
    :param tags: Tags, as a dict, 48 at most; on an alarm that exists they are reconciled. (templated)
    :param check_endpoint: Whether endpoint and variant must exist and publish the metric (default: True; one more call). False for an
        alarm that is made before its endpoint. (templated)
    :param adopt: Whether the task may take over an alarm with this name that this package did not make (default: False). (templated)
    :param extra_members: Further members of PutMetricAlarm in AWS's spelling, e.g. ``{"EvaluationWindow": {…}}``,
        ``{"WarmUpConfiguration": {…}}`` (default: none). (templated)
    :raises InvalidSpecError: For an alarm that CloudWatch would refuse or that can never go off. Raised before the first AWS call, except
        when this kind of endpoint does not publish the metric.
    :raises NotFoundError: With ``check_endpoint``, when there is no such endpoint or variant.
    :raises ConflictError: When the alarm was made by others, or by another task under the default name, and differs from the request.
    :return: The alarm's name.
    """

    fields: ClassVar[type[CreateEndpointAlarmFields]] = CreateEndpointAlarmFields
    template_fields: Sequence[str] = CreateEndpointAlarmFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = (
        CreateEndpointAlarmFields.template_fields_renderers()
    )

    def __init__(
        self,
        *,
        endpoint_name: Late | None = None,
        variant_name: Late | None = None,
        inference_component_name: Late | None = None,
        metric: EndpointMetric | MetricMath | Mapping[str, Any] | Late,
        threshold: float | timedelta | Late,
        evaluation_periods: int | Late,
        comparison_operator: ComparisonOperator | Late = "GreaterThanOrEqualToThreshold",
        datapoints_to_alarm: int | Late | None = None,
        treat_missing_data: Literal["breaching", "notBreaching", "ignore", "missing"] | Late | None = None,
        evaluate_low_sample_count_percentile: Literal["evaluate", "ignore"] | Late | None = None,
        alarm_actions: Sequence[Late] | Late = (),
        ok_actions: Sequence[Late] | Late = (),
        insufficient_data_actions: Sequence[Late] | Late = (),
        actions_enabled: bool | Late | None = None,
        alarm_name: Late | None = None,
        alarm_description: Late | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        check_endpoint: bool | Late = True,
        adopt: bool | Late = False,
        extra_members: Mapping[str, Any] | Late | None = None,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
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
        self.inference_component_name = inference_component_name
        self.metric = metric
        self.threshold = threshold
        self.evaluation_periods = evaluation_periods
        self.comparison_operator = comparison_operator
        self.datapoints_to_alarm = datapoints_to_alarm
        self.treat_missing_data = treat_missing_data
        self.evaluate_low_sample_count_percentile = evaluate_low_sample_count_percentile
        self.check_endpoint = check_endpoint
        self.extra_members = extra_members
        for wrong in not_published(metric, kind_of_variant(endpoint_name, variant_name)):
            warnings.warn(
                f"{type(self).__name__}: metric: {wrong}. The alarm can never go off.", stacklevel=2
            )
        self._check_name_is_free(
            literal_name(alarm_name)
            if alarm_name is not None
            else literal_default_name(
                metric,
                *(
                    (endpoint_name, variant_name)
                    if inference_component_name is None
                    else (inference_component_name,)
                ),
            )
        )

    def execute(self, context: Context) -> str:
        """Compare the alarm with the existing one, and put it if it differs."""
        from airflow_sm_hosting.service_model.request import validated_request

        given = self.fields.of(self)
        request = validated_request("cloudwatch", "PutMetricAlarm", self._request())
        target, component = given.target, given.inference_component_name
        metric, checked, tags, adopt = given.watched, given.check_endpoint, given.tags, given.adopt
        self.check_arns("endpoint_name" if component is None else "inference_component_name")
        for doubt in doubts(metric):
            self.log.warning(doubt)
        # If all metrics belong to another account, the endpoint is in that account.
        elsewhere = all(one.get("AccountId") for one in endpoint_metrics(metric))
        described: Mapping[str, Any] | None = None
        if checked and not elsewhere:
            described = (
                self._published_endpoint(metric, *target) if component is None else self._found(component)
            )
        spelled = described and described["EndpointName" if component is None else "InferenceComponentName"]
        if spelled and spelled != target[0]:
            self.log.info("%s is %s: the alarm watches that name", target[0], spelled)
            metric = given.watched_on(spelled)
            request = validated_request("cloudwatch", "PutMetricAlarm", self._request(metric))

        hook = self.cloudwatch_hook
        self._persist_link(context, hook, request["AlarmName"])
        found = hook.describe_metric_alarm(request["AlarmName"])
        plan = self._plan(context, hook, "PutMetricAlarm", request, found, tags=tags, adopt=adopt)
        if plan.put and described and component is None:
            self._warn_without_gpu(metric, described, target[1])
        self._apply(context, request, found, plan)
        self.push_details(context, {"written": plan.put, "threshold": request["Threshold"]})
        return str(request["AlarmName"])

    def _request(self, metric: dict[str, Any] | None = None) -> dict[str, Any]:
        given = self.fields.of(self)
        metric = given.watched if metric is None else metric
        name = given.alarm_name
        if name is None:
            name = default_alarm_name(metric, *given.target)
            check_alarm_name("alarm_name", name)
        return {
            **self._shared_request(given, name),
            **alarm_request(metric, threshold=given.threshold),
            **present(
                EvaluationPeriods=given.evaluation_periods,
                DatapointsToAlarm=given.datapoints_to_alarm,
                ComparisonOperator=given.comparison_operator,
                TreatMissingData=given.treat_missing_data,
                EvaluateLowSampleCountPercentile=given.evaluate_low_sample_count_percentile,
            ),
            **(given.extra_members or {}),
        }

    def _published_endpoint(
        self, metric: dict[str, Any], endpoint_name: str, variant_name: str
    ) -> Mapping[str, Any] | None:
        """Return the endpoint that publishes the metric."""
        from airflow_sm_hosting.deployment.alarm import check_published

        described = self.sagemaker_hook.describe_endpoint(endpoint_name)
        check_published(metric, described, endpoint_name, variant_name)
        return described

    def _found(self, component: str) -> Mapping[str, Any]:
        """Return the inference component that publishes the metric."""
        described = self.sagemaker_hook.describe_inference_component(component)
        if described is None:
            raise NotFoundError(
                f"There is no inference component {component!r}. Create the alarm after it, or give check_endpoint=False."
            )
        return described

    def _warn_without_gpu(
        self, metric: dict[str, Any], endpoint: Mapping[str, Any], variant_name: str
    ) -> None:
        from airflow_sm_hosting.deployment.alarm import needs_instance_type, without_gpu

        if not needs_instance_type(metric) or not endpoint.get("EndpointConfigName"):
            return
        config = self.sagemaker_hook.describe_endpoint_config(endpoint["EndpointConfigName"])
        if instance_type := without_gpu(config, variant_name):
            # Assumed: AWS defines the metrics by the instance's GPUs, and does not document that other instances publish none.
            self.log.warning(
                "The variant %s runs on %s, which has no GPU: an alarm on a GPU metric never gets data.",
                variant_name,
                instance_type,
            )


class CreateLatencyAlarmOperator(CreateEndpointAlarmOperator):
    """Create or update a CloudWatch alarm on the model's latency (``cloudwatch:PutMetricAlarm``).

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#createlatencyalarmoperator
        API: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html

    :param endpoint_name: Name of the endpoint, or its ARN. (templated)
    :param variant_name: Name of the production variant. (templated)
    :param inference_component_name: In place of both, the inference component, by name or ARN. (templated)
    :param threshold: The threshold in microseconds, the unit of ModelLatency, or a timedelta: 100000 and
        ``timedelta(milliseconds=100)`` are the same. (templated)
    :param evaluation_periods: Number of periods to evaluate, 1 or more. (templated)
    :param statistic: ``Average`` (default), ``Sum``, ``Minimum``, ``Maximum``, ``SampleCount``, or an extended one such as ``p99``.
    :param period: Seconds or a timedelta: 10, 20, 30, or a multiple of 60 (default: 300).
    :param kwargs: The other parameters of :class:`CreateEndpointAlarmOperator`.
    :raises InvalidSpecError: For an alarm that CloudWatch would refuse or that can never go off, before the first AWS call.
    :return: The alarm's name.
    """

    def __init__(
        self,
        *,
        endpoint_name: Late | None = None,
        variant_name: Late | None = None,
        inference_component_name: Late | None = None,
        threshold: float | timedelta | Late,
        evaluation_periods: int | Late,
        statistic: str = "Average",
        period: int | timedelta = 300,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("metric", EndpointMetric.model_latency(statistic=statistic, period=period))
        super().__init__(
            endpoint_name=endpoint_name,
            variant_name=variant_name,
            inference_component_name=inference_component_name,
            threshold=threshold,
            evaluation_periods=evaluation_periods,
            **kwargs,
        )
