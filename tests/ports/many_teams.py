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
TEAMS = {
    "search": {"type": "ml.m5.large", "count": 1, "weights": {"stable": 90, "next": 10}},
    "fraud": {"type": "ml.m5.xlarge", "count": 2, "weights": {"main": 100}},
    "quant": {"type": "ml.m5.large", "count": 1, "weights": {"main": 100}},
}

with DAG("many_teams", schedule=None, start_date=datetime(2026, 1, 1)):
    for team, wanted in TEAMS.items():
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
                    instance_type=wanted["type"],
                    initial_instance_count=wanted["count"],
                    initial_variant_weight=weight,
                )
                for name, weight in wanted["weights"].items()
            ],
            execution_role="SageMakerHostingRole",
            tags={"team": team},
        )
