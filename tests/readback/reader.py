"""What AWS describes, read back as the spec objects and parameters that would ask for it.

Strict, and on its own: every member of an answer is used or fails, and nothing of how the operators compare is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_sm_hosting import (
    ContainerDefinition,
    EndpointMetric,
    InstanceProductionVariant,
    MetricMath,
    ScheduledScaling,
    ServerlessProductionVariant,
    StepScaling,
    TargetTrackingScaling,
)

S3_URLS = (
    re.compile(r"https://s3\.[a-z0-9-]+\.amazonaws\.com/(?P<bucket>[^/]+)/(?P<key>.*)"),
    re.compile(r"https://(?P<bucket>[^/]+)\.s3\.[a-z0-9-]+\.amazonaws\.com/(?P<key>.*)"),
)
STATISTICS = {"Average", "Sum", "Minimum", "Maximum", "SampleCount"}


def s3_url(url: str) -> str:
    """Return the ``s3://`` form of an S3 URL."""
    for form in S3_URLS:
        matched = form.fullmatch(url)
        if matched:
            return f"s3://{matched['bucket']}/{matched['key']}"
    return url


@contextmanager
def whole(answer: dict[str, Any], *told: str) -> Iterator[dict[str, Any]]:
    """Give a copy to take members out of; what is left at the end must be nothing.

    :param answer: An answer, or a part of one.
    :param told: Members that only tell (times, ARNs, states): they are not asked for, and left out.
    """
    left = {key: value for key, value in answer.items() if key not in {"ResponseMetadata", *told}}
    yield left
    assert not left, f"the answer has members that nobody asked for: {left}"


def _given(**parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def read_container(described: dict[str, Any]) -> ContainerDefinition:
    with whole(described) as left:
        source = left.pop("ModelDataSource", None)
        url = left.pop("ModelDataUrl", None)
        assert source is None or url is None
        if source is not None:
            with whole(source) as one, whole(one.pop("S3DataSource")) as place:
                kind = (place.pop("S3DataType"), place.pop("CompressionType"))
                url = place.pop("S3Uri")
                # An uncompressed prefix and a gzipped object are all that the constructors make; anything else fails.
                assert kind == ("S3Prefix", "None"), kind
                assert url.endswith("/"), url
        return ContainerDefinition(
            **_given(
                image=left.pop("Image"),
                model_data=url and s3_url(url),
                environment=left.pop("Environment", None),
                container_hostname=left.pop("ContainerHostname", None),
                mode=left.pop("Mode", None),
                ImageConfig=left.pop("ImageConfig", None),
                AdditionalModelDataSources=left.pop("AdditionalModelDataSources", None),
            )
        )


def read_model(described: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of ``CreateModelOperator``; defaults that AWS shows are there, too."""
    with whole(described, "CreationTime", "ModelArn", "ModelName") as left:
        containers = left.pop("Containers", None)
        primary = left.pop("PrimaryContainer", None)
        # One container is the primary one, more are a pipeline.
        assert (containers is None) != (primary is None)
        assert containers is None or len(containers) > 1
        vpc = left.pop("VpcConfig", None)
        mode = left.pop("InferenceExecutionConfig", None)
        parameters = _given(
            containers=[read_container(one) for one in containers or [primary]],
            execution_role=left.pop("ExecutionRoleArn", None),
            enable_network_isolation=left.pop("EnableNetworkIsolation"),
        )
        if vpc is not None:
            with whole(vpc) as one:
                parameters |= {
                    "subnets": one.pop("Subnets"),
                    "security_group_ids": one.pop("SecurityGroupIds"),
                }
        if mode is not None:
            with whole(mode) as one:
                parameters["inference_execution_mode"] = one.pop("Mode")
    return parameters


def read_variant(described: dict[str, Any]) -> InstanceProductionVariant | ServerlessProductionVariant:
    with whole(described) as left:
        names = {
            "model_name": left.pop("ModelName"),
            "variant_name": left.pop("VariantName"),
            "initial_variant_weight": left.pop("InitialVariantWeight"),
        }
        serverless = left.pop("ServerlessConfig", None)
        if serverless is not None:
            with whole(serverless) as one:
                return ServerlessProductionVariant(
                    **names,
                    max_concurrency=one.pop("MaxConcurrency"),
                    memory_size_in_mb=one.pop("MemorySizeInMB"),
                    provisioned_concurrency=one.pop("ProvisionedConcurrency", None),
                )
        return InstanceProductionVariant(
            **names,
            instance_type=left.pop("InstanceType"),
            initial_instance_count=left.pop("InitialInstanceCount"),
            **_given(
                container_startup_health_check_timeout=left.pop(
                    "ContainerStartupHealthCheckTimeoutInSeconds", None
                ),
                model_data_download_timeout=left.pop("ModelDataDownloadTimeoutInSeconds", None),
                volume_size_in_gb=left.pop("VolumeSizeInGB", None),
                EnableSSMAccess=left.pop("EnableSSMAccess", None),
                InferenceAmiVersion=left.pop("InferenceAmiVersion", None),
                RoutingConfig=left.pop("RoutingConfig", None),
                ManagedInstanceScaling=left.pop("ManagedInstanceScaling", None),
                CoreDumpConfig=left.pop("CoreDumpConfig", None),
            ),
        )


def read_endpoint_config(described: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of ``CreateEndpointConfigOperator``."""
    with whole(described, "CreationTime", "EndpointConfigArn", "EndpointConfigName") as left:
        return _given(
            production_variants=[read_variant(one) for one in left.pop("ProductionVariants")],
            shadow_production_variants=[read_variant(one) for one in left.pop("ShadowProductionVariants", [])]
            or None,
            kms_key_id=left.pop("KmsKeyId", None),
            data_capture_config=left.pop("DataCaptureConfig", None),
            async_inference_config=left.pop("AsyncInferenceConfig", None),
        )


def read_policy(described: dict[str, Any]) -> TargetTrackingScaling | StepScaling:
    told = ("PolicyARN", "ServiceNamespace", "ResourceId", "ScalableDimension", "CreationTime", "Alarms")
    with whole(described, *told) as left:
        kind, name = left.pop("PolicyType"), left.pop("PolicyName")
        if kind == "StepScaling":
            with whole(left.pop("StepScalingPolicyConfiguration")) as one:
                return StepScaling(
                    policy_name=name,
                    step_adjustments=one.pop("StepAdjustments"),
                    adjustment_type=one.pop("AdjustmentType"),
                    **_given(
                        cooldown=one.pop("Cooldown", None),
                        metric_aggregation_type=one.pop("MetricAggregationType", None),
                        min_adjustment_magnitude=one.pop("MinAdjustmentMagnitude", None),
                    ),
                )
        assert kind == "TargetTrackingScaling", kind
        with whole(left.pop("TargetTrackingScalingPolicyConfiguration")) as one:
            predefined = one.pop("PredefinedMetricSpecification", None)
            if predefined is not None:
                with whole(predefined) as metric:
                    predefined = metric.pop("PredefinedMetricType")
            return TargetTrackingScaling(
                policy_name=name,
                target_value=one.pop("TargetValue"),
                **_given(
                    predefined_metric=predefined,
                    customized_metric=one.pop("CustomizedMetricSpecification", None),
                    scale_in_cooldown=one.pop("ScaleInCooldown", None),
                    scale_out_cooldown=one.pop("ScaleOutCooldown", None),
                    disable_scale_in=one.pop("DisableScaleIn", None),
                ),
            )


def read_scheduled_action(described: dict[str, Any]) -> ScheduledScaling:
    told = ("ScheduledActionARN", "ServiceNamespace", "ResourceId", "ScalableDimension", "CreationTime")
    with whole(described, *told) as left, whole(left.pop("ScalableTargetAction", {})) as capacities:
        timezone = left.pop("Timezone", "UTC")  # what holds where none is given (PutScheduledAction)
        return ScheduledScaling(
            scheduled_action_name=left.pop("ScheduledActionName"),
            schedule=left.pop("Schedule"),
            **_given(
                min_capacity=capacities.pop("MinCapacity", None),
                max_capacity=capacities.pop("MaxCapacity", None),
                timezone=None if timezone == "UTC" else timezone,
                start_time=left.pop("StartTime", None),
                end_time=left.pop("EndTime", None),
            ),
        )


def read_metric(described: dict[str, Any], **options: Any) -> EndpointMetric:
    """Return a metric of what alarms and queries have in common: Namespace, MetricName, Dimensions."""
    return EndpointMetric(
        described.pop("Namespace"),
        described.pop("MetricName"),
        dimensions={one["Name"]: one["Value"] for one in described.pop("Dimensions")},
        **_given(**options),
    )


def read_queries(described: list[dict[str, Any]]) -> EndpointMetric | MetricMath:
    """Return what the ``Metrics`` of an alarm stand for: one labelled metric, or an expression over several."""
    metrics: dict[str, Any] = {}
    result: EndpointMetric | MetricMath | None = None
    for query in described:
        with whole(query) as left:
            name, label, returns = left.pop("Id"), left.pop("Label", None), left.pop("ReturnData")
            if "Expression" in left:
                one: Any = MetricMath(
                    expression=left.pop("Expression"), metrics=metrics, **_given(label=label)
                )
            else:
                with whole(left.pop("MetricStat")) as stat, whole(stat.pop("Metric")) as metric:
                    one = read_metric(
                        metric,
                        period=stat.pop("Period"),
                        statistic=stat.pop("Stat"),
                        unit=stat.pop("Unit", None),
                        label=label,
                        account_id=left.pop("AccountId", None),
                    )
            if returns:
                assert result is None, "one query returns data"
                result = one
            else:
                metrics[name] = one
    assert result is not None
    assert isinstance(result, MetricMath) or not metrics
    return result


def read_alarm(described: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of ``CreateEndpointAlarmOperator`` but endpoint and variant, which are among the dimensions."""
    told = ("AlarmArn", "AlarmConfigurationUpdatedTimestamp", "StateTransitionedTimestamp")
    state = ("StateValue", "StateReason", "StateReasonData", "StateUpdatedTimestamp", "EvaluationState")
    with whole(described, *told, *state) as left:
        queries = left.pop("Metrics", [])
        if queries:
            metric: Any = read_queries(queries)
            assert not left.pop("Dimensions", [])
        else:
            [statistic] = [
                left.pop(name) for name in ("Statistic", "ExtendedStatistic") if left.get(name) is not None
            ]
            metric = read_metric(
                left, period=left.pop("Period"), statistic=statistic, unit=left.pop("Unit", None)
            )
        return {
            "metric": metric,
            "alarm_name": left.pop("AlarmName"),
            "threshold": left.pop("Threshold"),
            "evaluation_periods": left.pop("EvaluationPeriods"),
            "comparison_operator": left.pop("ComparisonOperator"),
            "actions_enabled": left.pop("ActionsEnabled"),
            "alarm_actions": left.pop("AlarmActions", []),
            "ok_actions": left.pop("OKActions", []),
            "insufficient_data_actions": left.pop("InsufficientDataActions", []),
            **_given(
                datapoints_to_alarm=left.pop("DatapointsToAlarm", None),
                treat_missing_data=left.pop("TreatMissingData", None),
                alarm_description=left.pop("AlarmDescription", None),
                evaluate_low_sample_count_percentile=left.pop("EvaluateLowSampleCountPercentile", None),
            ),
        }
