"""Application Auto Scaling of endpoints: the service's own checks, in front of moto."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Request, Response

from airflow_sm_hosting.local import moto_backends
from airflow_sm_hosting.local.hosting import Hosting
from airflow_sm_hosting.local.protocol import AwsError

_VARIANT = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
# "ml.t2.medium … cannot be registered": aws-controllers-k8s/community#1633
_BURSTABLE = re.compile(r"ml\.t\d")
_NEEDS_TARGET = (
    "PutScalingPolicy",
    "PutScheduledAction",
    "DeregisterScalableTarget",
)


def answer(
    request: Request,
    operation: str,
    body: dict[str, Any],
    hosting: Hosting,
    moto: Callable[[Request], Response],
) -> Response:
    """Answer an operation of Application Auto Scaling.

    :raises AwsError: What AWS refuses and moto does not.
    """
    if body.get("ServiceNamespace") != "sagemaker":
        return moto(request)
    resource, dimension = body.get("ResourceId", ""), body.get("ScalableDimension", "")
    if operation == "RegisterScalableTarget":
        _check_registration(body, hosting)
    elif operation in _NEEDS_TARGET and not _target(hosting.region, resource, dimension):
        raise _absent("scalable target", body)
    elif operation == "DeleteScalingPolicy" and not any(
        policy.policy_name == body.get("PolicyName") and policy.scalable_dimension == dimension
        for policy in moto_backends.scaling_policies(hosting.region, resource)
    ):
        raise _absent("scaling policy", body)
    response = moto(request)
    if response.status_code == 200 and operation == "DeregisterScalableTarget":
        # "Deregistering a scalable target deletes the scaling policies and scheduled actions": API_DeregisterScalableTarget.html
        moto_backends.forget_scaling(hosting.region, resource, dimension=dimension)
    if (
        response.status_code == 200
        and operation == "PutScalingPolicy"
        and body.get("PolicyType") == "TargetTrackingScaling"
    ):
        reply = response.get_json(force=True)
        reply["Alarms"] = moto_backends.make_target_tracking_alarms(
            hosting.region, resource, body["PolicyName"], _alarm_metric(body, resource)
        )
        response.set_data(json.dumps(reply))
    return response


def _check_registration(body: dict[str, Any], hosting: Hosting) -> None:
    resource, dimension = body.get("ResourceId", ""), body.get("ScalableDimension", "")
    match = _VARIANT.fullmatch(resource)
    if not match or not dimension.startswith("sagemaker:variant:"):
        # Inference components, and what moto refuses by itself.
        return
    endpoint, variant = match.groups()
    config = hosting.endpoints.variant_config(endpoint, variant)
    if config is None:
        # https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html: the resource
        # must exist; the sentence is assumed.
        raise AwsError(
            "ValidationException",
            f'Could not find variant "{variant}" of endpoint "{hosting.arn("endpoint", endpoint)}".',
        )
    instance_type = config.get("InstanceType", "")
    if _BURSTABLE.match(instance_type) and dimension.endswith(":DesiredInstanceCount"):
        raise AwsError(
            "ValidationException",
            f"You cannot register a variant with {instance_type} instance type as a scalable target. Burstable instance "
            "types are not supported for automatic scaling.",
        )
    before = _target(hosting.region, resource, dimension)
    low = body.get("MinCapacity", before.min_capacity if before else None)
    high = body.get("MaxCapacity", before.max_capacity if before else None)
    if low is None or high is None:
        # The same page: both are required when a new target is registered.
        raise AwsError(
            "ValidationException", "MinCapacity and MaxCapacity are required to register a scalable target."
        )
    if low > high:
        raise AwsError("ValidationException", "Maximum capacity cannot be less than minimum capacity")


def _target(region: str, resource: str, dimension: str) -> Any:
    return next(
        (
            target
            for target in moto_backends.scalable_targets(region)
            if target.resource_id == resource and target.scalable_dimension == dimension
        ),
        None,
    )


def _absent(what: str, body: dict[str, Any]) -> AwsError:
    policy = f", policy name: {body['PolicyName']}" if what == "scaling policy" else ""
    return AwsError(
        "ObjectNotFoundException",
        f"No {what} found for service namespace: sagemaker, resource ID: {body.get('ResourceId')}, scalable dimension: "
        f"{body.get('ScalableDimension')}{policy}",
    )


def _alarm_metric(body: dict[str, Any], resource: str) -> dict[str, Any]:
    """Return what the two alarms of a target-tracking policy look at."""
    tracking = body["TargetTrackingScalingPolicyConfiguration"]
    custom = tracking.get("CustomizedMetricSpecification")
    if custom and "MetricName" in custom:
        metric = {
            "namespace": custom["Namespace"],
            "metric_name": custom["MetricName"],
            "dimensions": custom.get("Dimensions", []),
            "statistic": custom.get("Statistic", "Average"),
        }
    else:
        match = _VARIANT.fullmatch(resource)
        endpoint, variant = match.groups() if match else (resource, "")
        # "SageMakerVariantInvocationsPerInstance: the average number of times per minute that each instance is
        # invoked", which is the sum of the metric over a minute (API_PredefinedMetricSpecification.html).
        metric = {
            "namespace": "AWS/SageMaker",
            "metric_name": "InvocationsPerInstance",
            "dimensions": [
                {"Name": "EndpointName", "Value": endpoint},
                {"Name": "VariantName", "Value": variant},
            ],
            "statistic": "Sum",
        }
    return {
        **metric,
        "target": float(tracking["TargetValue"]),
        "scale_in": not tracking.get("DisableScaleIn"),
    }
