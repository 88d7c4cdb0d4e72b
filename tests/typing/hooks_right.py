"""Answers of AWS, read as they are: no type checker has anything against a line of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_hosting.hooks import ApplicationAutoScalingHook, CloudWatchHook, SageMakerHostingHook


def pure(described: Mapping[str, Any]) -> str:
    return str(described["EndpointStatus"])


def read(hook: SageMakerHostingHook, alarms: CloudWatchHook, scaling: ApplicationAutoScalingHook) -> None:
    endpoint = hook.describe_endpoint("churn")
    if endpoint is None:
        return
    pure(endpoint)
    print(endpoint["EndpointConfigName"], endpoint["CreationTime"].isoformat())
    print([variant["VariantName"] for variant in endpoint.get("ProductionVariants", [])])
    model = hook.describe_model("churn")
    print(model and model["PrimaryContainer"].get("Image"))
    config = hook.describe_endpoint_config("churn")
    print(config and config["ProductionVariants"][0].get("InstanceType"))
    print(hook.find_production_variant("churn", "main")["VariantName"].upper())
    alarm = alarms.describe_metric_alarm("slow")
    print(alarm and alarm.get("Threshold"))
    print([one.get("AlarmName") for one in alarms.alarms_on_endpoint("churn")])
    for target in scaling.scalable_targets(["endpoint/churn/variant/main"]):
        print(target["MinCapacity"] + 1, scaling.target_tags(target))
    print([one["PolicyARN"] for one in scaling.scaling_policies("endpoint/churn/variant/main")])
    hook.conn.add_tags(ResourceArn=endpoint["EndpointArn"], Tags=[{"Key": "team", "Value": "growth"}])
