"""Which metrics a kind of endpoint publishes, as far as AWS documents it: an alarm or a policy on another one never sees data.

Sources: the developer guide's pages "monitoring-cloudwatch", "serverless-endpoints-monitoring", "async-inference-monitor" and
"endpoint-auto-scaling-zero-instances".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_sm_hosting.spec.checks import is_rendered_later
from airflow_sm_hosting.spec.metric import (
    ASYNCHRONOUS,
    INSTANCE,
    INVOCATION_METRICS,
    PUBLISHED,
    SERVERLESS,
    endpoint_metrics,
)
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.scaling_rules import CONCURRENCY_UTILIZATION, INVOCATIONS_PER_INSTANCE

#: What publishes metrics with the dimension InferenceComponentName.
COMPONENT = "inference component"
#: A real-time endpoint whose containers are known to have one model each.
ONE_MODEL = "single-model real-time"

#: The metrics in AWS/SageMaker that have the dimension InferenceComponentName. "monitoring-cloudwatch", endpoint invocation metrics; for
#: NoCapacityInvocationFailures "endpoint-auto-scaling-zero-instances".
OF_COMPONENTS = (
    "Invocations InvocationsPerCopy ConcurrentRequestsPerCopy ConcurrentRequestsPerModel Invocation4XXErrors Invocation5XXErrors "
    "InvocationModelErrors ModelLatency OverheadLatency FirstChunkLatency FirstChunkModelLatency FirstChunkOverheadLatency MidStreamErrors "
    "NoCapacityInvocationFailures"
).split()
#: Those of them that only components have.
ONLY_OF_COMPONENTS = ("InvocationsPerCopy", "ConcurrentRequestsPerCopy", "NoCapacityInvocationFailures")

#: The metrics that only containers with many models publish ("monitoring-cloudwatch", multi-model endpoint metrics).
OF_MANY_MODELS = (
    "ModelLoadingWaitTime ModelUnloadingTime ModelDownloadingTime ModelLoadingTime ModelCacheHit LoadedModelCount"
).split()

#: The metric that a predefined one of Application Auto Scaling watches.
WATCHED = {
    INVOCATIONS_PER_INSTANCE: "InvocationsPerInstance",
    CONCURRENCY_UTILIZATION: "ServerlessProvisionedConcurrencyUtilization",
}


def kinds_of_config(production_variants: Any, async_inference_config: Any) -> dict[str, str]:
    """Return the kind of endpoint of each variant of a config, as far as it is literal.

    :param production_variants: The variants.
    :param async_inference_config: ``AsyncInferenceConfig``, or None.
    """
    if not isinstance(production_variants, Sequence) or isinstance(production_variants, str):
        return {}
    kinds = {}
    for variant in production_variants:
        name = variant.get("VariantName") if isinstance(variant, Mapping) else None
        if not isinstance(name, str) or is_rendered_later(name):
            continue
        kinds[name] = SERVERLESS if variant.get("ServerlessConfig") is not None else INSTANCE
        if async_inference_config is not None:
            if is_rendered_later(async_inference_config):
                del kinds[name]  # it may be rendered to None
            else:
                kinds[name] = ASYNCHRONOUS
    return kinds


def is_published(namespace: str, name: str, kind: str) -> bool:
    """Return whether a kind of endpoint publishes a metric; one that is not known may be new.

    :param namespace: Its namespace.
    :param name: Its name.
    :param kind: The kind.
    """
    if namespace == INVOCATION_METRICS and kind != COMPONENT and name in ONLY_OF_COMPONENTS:
        return False
    if kind == ONE_MODEL:
        if namespace == INVOCATION_METRICS and name in OF_MANY_MODELS:
            return False
        kind = INSTANCE
    if (namespace, name) not in PUBLISHED:
        return True
    if kind == COMPONENT:
        return namespace == INVOCATION_METRICS and name in OF_COMPONENTS
    return kind in PUBLISHED[namespace, name][1]


def not_published(metric: Any, kind: str | None) -> Iterator[str]:
    """Yield a sentence for each metric of an EndpointMetric or a MetricMath that is never published.

    :param metric: The metric; one of another account is not looked at.
    :param kind: The kind of endpoint, None if it is not known: then only metrics with dimensions of a component are looked at.
    """
    if kind_of(metric) not in ("EndpointMetric", "MetricMath"):
        return
    for one in endpoint_metrics(metric):
        dimensions = one.get("Dimensions")
        own = (
            COMPONENT if isinstance(dimensions, Mapping) and "InferenceComponentName" in dimensions else kind
        )
        namespace, name = one["Namespace"], one["MetricName"]
        if own is None or one.get("AccountId") or is_rendered_later(namespace) or is_rendered_later(name):
            continue
        if not is_published(namespace, name, own):
            yield sentence(name, own)


def sentence(name: str, kind: str) -> str:
    """Return what is wrong with a metric, and what is allowed."""
    other = OF_COMPONENTS if kind == COMPONENT else [one for _, one in PUBLISHED if _is_of(one, kind)]
    whose = (
        "an inference component"
        if kind == COMPONENT
        else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} endpoint"
    )
    return f"SageMaker does not publish {name} for {whose}; allowed: {', '.join(other)}"


def _is_of(name: str, kind: str) -> bool:
    return any(is_published(space, one, kind) for space, one in PUBLISHED if one == name)


def not_published_by_policies(policies: Any, kind: str | None) -> Iterator[str]:
    """Yield a sentence for each target-tracking policy whose metric is never published.

    :param policies: The policies, as far as they are literal.
    :param kind: The kind of what is scaled, None if it is not known.
    """
    for policy in policies if isinstance(policies, list | tuple) else ():
        if not isinstance(policy, Mapping) or kind is None:
            continue
        predefined = INVOCATIONS_PER_INSTANCE if kind_of(policy) == "InvocationsScaling" else None
        configuration = policy.get("TargetTrackingScalingPolicyConfiguration")
        if isinstance(configuration, Mapping):
            specification = configuration.get("PredefinedMetricSpecification")
            if isinstance(specification, Mapping):
                predefined = specification.get("PredefinedMetricType")
            custom = configuration.get("CustomizedMetricSpecification")
            yield from not_published(custom, kind)
            if isinstance(custom, Mapping) and kind_of(custom) is None:
                yield from _of_plain(custom, kind)
        name = WATCHED.get(str(predefined))
        if name and kind != COMPONENT and not is_published(INVOCATION_METRICS, name, kind):
            yield f"{predefined} watches {name}: {sentence(name, kind)}"


def _of_plain(custom: Mapping[str, Any], kind: str) -> Iterator[str]:
    """Yield a sentence for a metric in the AWS shape that is never published."""
    namespace, name = custom.get("Namespace"), custom.get("MetricName")
    if not isinstance(namespace, str) or not isinstance(name, str):
        return
    dimensions = custom.get("Dimensions")
    names = (
        [one.get("Name") for one in dimensions if isinstance(one, Mapping)]
        if isinstance(dimensions, list | tuple)
        else []
    )
    own = COMPONENT if "InferenceComponentName" in names else kind
    if own == COMPONENT and "InferenceComponentName" not in names:
        return  # the policy of a component on the metric of something else
    if not is_rendered_later(name) and not is_published(namespace, name, own):
        yield sentence(name, own)
