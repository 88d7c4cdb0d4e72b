"""A language model on whichever GPU type has capacity, scaled by how busy the types are together."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_sm_hosting import (
    ContainerDefinition,
    ContainerImage,
    EndpointMetric,
    InstancePool,
    InstanceProductionVariant,
    MetricMath,
    ModelHostingTaskGroup,
    Routing,
    TargetTrackingScaling,
)

# What an instance of each type answers at once, the best type first.
AT_ONCE = {"ml.g6.24xlarge": 12, "ml.g5.48xlarge": 16, "ml.g5.12xlarge": 7}
SETTINGS = {
    "HF_MODEL_ID": "Qwen/Qwen3-4B",
    "SERVING_FAIL_FAST": "true",
    "OPTION_ASYNC_MODE": "true",
    "OPTION_MAX_MODEL_LEN": "16384",
    "OPTION_TENSOR_PARALLEL_DEGREE": "max",
}


def requests_at_once(instance_type: str) -> EndpointMetric:
    return EndpointMetric.custom(
        "AWS/SageMaker",
        "ConcurrentRequestsPerModel",
        statistic="Average",
        dimensions={"EndpointName": "travel", "VariantName": "main", "InstanceType": instance_type},
    )


BUSY = MetricMath(
    expression="("
    + " + ".join(f"type{number} / {most}" for number, most in enumerate(AT_ONCE.values()))
    + f") / {len(AT_ONCE)}",
    metrics={f"type{number}": requests_at_once(name) for number, name in enumerate(AT_ONCE)},
    label="Busy",
)

with DAG("instance_pools", schedule=None, start_date=datetime(2026, 1, 1)):
    ModelHostingTaskGroup(
        group_id="travel",
        endpoint_name="travel",
        models={
            "travel": [
                ContainerDefinition(
                    image=ContainerImage.from_dlc("djl-inference", "0.36.0-lmi23.0.0-cu129"),
                    environment=SETTINGS,
                )
            ]
        },
        production_variants=[
            InstanceProductionVariant(
                model_name="travel",
                variant_name="main",
                instance_type=None,
                instance_pools=[
                    InstancePool(instance_type=name, priority=number)
                    for number, name in enumerate(AT_ONCE, start=1)
                ],
                instance_provision_timeout=timedelta(hours=1),
                container_startup_health_check_timeout=timedelta(minutes=15),
                routing=Routing(strategy="LEAST_OUTSTANDING_REQUESTS"),
            )
        ],
        scaling={
            "main": {
                "max_capacity": 10,
                "policies": [
                    TargetTrackingScaling(
                        target_value=0.7,
                        customized_metric=BUSY,
                        scale_in_cooldown=300,
                        scale_out_cooldown=60,
                    )
                ],
            }
        },
        execution_role="SageMakerHostingRole",
        smoke_test={"body": {"messages": [{"role": "user", "content": "Where should I walk in Lisbon?"}]}},
    )
