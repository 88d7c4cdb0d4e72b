"""What SageMaker refuses of an endpoint's updates beyond its model of the request: each rule with its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID
from airflow_sm_hosting.local.sagemaker.endpoints import rollout
from airflow_sm_hosting.local.sagemaker.refusal import refuse

# _API is https://docs.aws.amazon.com/sagemaker/latest/APIReference


def check_desired(change: Mapping[str, Any], variant: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Validate a ``DesiredWeightAndCapacity`` of a variant.

    :param change: The desired weight and capacity.
    :param variant: The variant of the endpoint config.
    :param config: The endpoint config.
    """
    name, serverless = variant["VariantName"], variant.get("ServerlessConfig")
    if serverless is not None and "DesiredInstanceCount" in change:
        # _API/API_DesiredWeightAndCapacity.html: serverless variants have ServerlessUpdateConfig; the sentence is assumed.
        refuse("DesiredInstanceCount cannot be specified for serverless variants.")
    update = change.get("ServerlessUpdateConfig")
    if update and serverless is None:
        refuse(f"ServerlessUpdateConfig cannot be specified for the instance-backed variant {name}.")
    if update and serverless:
        wanted = {**serverless, **update}
        if wanted.get("ProvisionedConcurrency", 0) > wanted["MaxConcurrency"]:
            refuse("ProvisionedConcurrency must be less than or equal to MaxConcurrency.")
    if (
        change.get("DesiredInstanceCount") == 0
        and "ModelName" in variant
        and "AsyncInferenceConfig" not in config
    ):
        # Zero instances: asynchronous endpoints and those of inference components only
        # (https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html); the sentence is assumed.
        refuse(f"DesiredInstanceCount of the real-time variant {name} must be at least 1.")


def check_rolling_instances(
    deployment: Mapping[str, Any] | None, instances: Mapping[str, int | None]
) -> None:
    """Refuse a rolling deployment to a single instance, of an update and of a new endpoint alike.

    :param deployment: The ``DeploymentConfig``.
    :param instances: The instances that each new variant is to have.
    """
    if deployment and "RollingUpdatePolicy" in deployment and 1 in instances.values():
        # Measured with a new account by plantonhq/planton.
        refuse("Cannot update endpoint with single instance using RollingUpdatePolicy")


def check_deployment_config(
    deployment: Mapping[str, Any] | None,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    instances: Mapping[str, int | None],
) -> None:
    """Validate the ``DeploymentConfig`` of an UpdateEndpoint. All sentences are assumed.

    :param deployment: The ``DeploymentConfig``.
    :param old: The endpoint config that serves.
    :param new: The endpoint config that is to serve.
    :param instances: The instances that each new variant is to have.
    """
    if not deployment:
        return
    blue_green, rolling = deployment.get("BlueGreenUpdatePolicy"), deployment.get("RollingUpdatePolicy")
    if blue_green and rolling:
        # _API/API_DeploymentConfig.html: "Only one update policy should be used".
        refuse("Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be specified.")
    names = [[variant["VariantName"] for variant in config["ProductionVariants"]] for config in (old, new)]
    if blue_green:
        _check_blue_green(blue_green, names, instances)
    if rolling:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
        _check_same_variants(names)
        if len(names[1]) > 1:
            refuse("Rolling deployments are not supported for endpoints with multiple production variants.")
        if None in instances.values():
            refuse("Rolling deployments are not supported for serverless endpoints.")
        _check_size("MaximumBatchSize", rolling["MaximumBatchSize"], instances)


def _check_blue_green(
    policy: Mapping[str, Any], names: Sequence[Sequence[str]], instances: Mapping[str, int | None]
) -> None:
    routing = policy["TrafficRoutingConfiguration"]
    waits = routing["WaitIntervalInSeconds"] + policy.get("TerminationWaitInSeconds", 0)
    limit = policy.get("MaximumExecutionTimeoutInSeconds")
    if limit is not None and limit <= waits:
        # _API/API_BlueGreenUpdatePolicy.html: "should be larger than the total waiting time specified in
        # TerminationWaitInSeconds and WaitIntervalInSeconds".
        refuse(
            f"MaximumExecutionTimeoutInSeconds ({limit}) must be larger than the sum of TerminationWaitInSeconds and "
            f"WaitIntervalInSeconds ({waits})."
        )
    member = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}.get(routing["Type"])
    for other in ("CanarySize", "LinearStepSize"):
        if other in routing and other != member:
            refuse(f"{other} cannot be specified for the traffic routing type {routing['Type']}.")
    if member is None:
        return
    # deployment-guardrails-exclusions.html: "must have the same variant name as the old".
    _check_same_variants(names)
    if member not in routing:
        refuse(f"{member} must be specified for the traffic routing type {routing['Type']}.")
    _check_size(member, routing[member], instances)


def _check_same_variants(names: Sequence[Sequence[str]]) -> None:
    if set(names[0]) != set(names[1]):
        refuse("The new endpoint configuration must have the same variant names as the old one.")


def _check_size(member: str, size: Mapping[str, Any], instances: Mapping[str, int | None]) -> None:
    """Refuse a size that is not the share of a variant's instances that AWS allows."""
    low, high = rollout.SIZE_LIMITS[member]
    if size["Type"] == "CAPACITY_PERCENT" and not low <= size["Value"] <= high:
        refuse(f"{member} must be between {low}% and {high}% of the capacity, not {size['Value']}%.")
    for name, total in instances.items():
        if total is None:
            continue
        count = rollout.instances(size, total) if size["Type"] == "CAPACITY_PERCENT" else size["Value"]
        # An instance is the least that can be shifted, so with one there is nothing to shift in parts.
        too_small = size["Type"] == "INSTANCE_COUNT" and count * 100 < low * total
        if count * 100 > high * total or too_small:
            refuse(
                f"{member} is {count} of the {total} instance(s) of variant {name}; it must be between {low}% and {high}% "
                "of the variant's total instance count."
            )


def has_no_guardrails(config: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether a feature of the endpoint makes every update all-at-once without a bake.

    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html: Marketplace containers, Inf1,
    Elastic Inference. And serverless: guardrails "only apply to Asynchronous inference and Real-time inference endpoint
    types" (deployment-guardrails.html).
    """
    for variant in config["ProductionVariants"]:
        types = [
            variant.get("InstanceType", ""),
            *(p["InstanceType"] for p in variant.get("InstancePools", ())),
        ]
        if "ServerlessConfig" in variant or "AcceleratorType" in variant:
            return True
        if any(instance_type.startswith("ml.inf1.") for instance_type in types):
            return True
    definitions = (
        definition
        for model in models.values()
        for definition in (model.get("Containers") or [model.get("PrimaryContainer", {})])
    )
    # A package of the Marketplace belongs to the seller's account.
    packages = (definition.get("ModelPackageName", "") for definition in definitions)
    return any(package.startswith("arn:") and f":{ACCOUNT_ID}:" not in package for package in packages)
