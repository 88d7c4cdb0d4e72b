"""An endpoint for each team, from a table."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_sm_hosting import (
    ContainerDefinition,
    ContainerImage,
    InstanceProductionVariant,
    ModelHostingTaskGroup,
)

IMAGE = ContainerImage.from_ecr_repository("serving", "latest")
# Team: instance type, instances of a variant, and variants with their weights.
TEAMS = {
    "search": ("ml.m5.large", 1, {"stable": 90, "next": 10}),
    "fraud": ("ml.m5.xlarge", 2, {"main": 100}),
    "quant": ("ml.m5.large", 1, {"main": 100}),
}

with DAG("many_teams", schedule=None, start_date=datetime(2026, 1, 1)):
    for team, (instance_type, count, weights) in TEAMS.items():
        ModelHostingTaskGroup(
            group_id=team,
            endpoint_name=f"ml-{team}",
            models={
                f"ml-{team}": [
                    ContainerDefinition(
                        image=IMAGE,
                        model_data=f"s3://team-models/{team}/model.tar.gz",
                        environment={"MODEL_NAME": team},
                    )
                ]
            },
            production_variants=[
                InstanceProductionVariant(
                    model_name=f"ml-{team}",
                    variant_name=name,
                    instance_type=instance_type,
                    initial_instance_count=count,
                    initial_variant_weight=weight,
                )
                for name, weight in weights.items()
            ],
            execution_role="SageMakerHostingRole",
            tags={"team": team},
        )
