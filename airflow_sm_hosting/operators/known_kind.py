"""What is known of an endpoint while the DAG file is parsed, from the tasks whose outputs name it."""

from __future__ import annotations

from typing import Any

from airflow_sm_hosting.spec.metric import INSTANCE
from airflow_sm_hosting.spec.published import ONE_MODEL, kinds_of_config


def kind_of_variant(name: Any, variant_name: Any) -> str | None:
    """Return the kind of endpoint of a variant; None if it is not known.

    :param name: The endpoint or the endpoint config: the output of a ``DeployEndpointOperator`` or a ``CreateEndpointConfigOperator``.
    :param variant_name: The variant.
    """
    task = _maker(name)
    # An endpoint is on a config; both tasks have the config's name, or make it.
    if task is not None and not hasattr(task, "production_variants"):
        task = _maker(getattr(task, "endpoint_config_name", None))
    if task is None or not hasattr(task, "production_variants") or not isinstance(variant_name, str):
        return None
    kind = kinds_of_config(task.production_variants, task.async_inference_config).get(variant_name)
    if kind == INSTANCE and _has_one_model(task.production_variants, variant_name):
        return ONE_MODEL
    return kind


def metric_of_alarm(alarm: Any) -> tuple[Any, Any, Any] | None:
    """Return the metric, the endpoint and the variant of an alarm that a task of the DAG makes; None for other alarms.

    :param alarm: The alarm's name: the output of a ``CreateEndpointAlarmOperator``.
    """
    task = _maker(alarm)
    if task is None or not hasattr(task, "metric") or not hasattr(task, "variant_name"):
        return None
    return task.metric, task.endpoint_name, task.variant_name


def _has_one_model(variants: Any, variant_name: str) -> bool:
    """Return whether the containers of a variant are known, and each has one model."""
    for variant in variants:
        if isinstance(variant, dict) and variant.get("VariantName") == variant_name:
            containers = getattr(_maker(variant.get("ModelName")), "containers", None)
            return isinstance(containers, list | tuple) and all(
                isinstance(one, dict) and one.get("Mode") in (None, "SingleModel") and "Image" in one
                for one in containers
            )
    return False


def _maker(value: Any) -> Any:
    """Return the task whose output a value is; None for other values."""
    return getattr(value, "operator", None) if hasattr(value, "iter_references") else None
