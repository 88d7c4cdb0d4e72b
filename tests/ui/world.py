"""An Airflow with recorded deployments: real tasks against a local AWS, in a scheduler with its API server and triggerer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import make_broken_model
from tests.standalone import DEFERRED_TRANSITION, Airflow

ROOT = Path(__file__).parent.parent.parent
ROLE = "arn:aws:iam::123456789012:role/sagemaker"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference@sha256:"
INSTANCE = "ml.m5.large"


def make_configs(aws: LocalAws) -> None:
    """Make the endpoint configs that the DAGs deploy; the image of ``bad`` is deleted."""
    s3, sagemaker = aws.client("s3"), aws.client("sagemaker")
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="churn/9f2c51d07a/model.tar.gz", Body=b"")
    sagemaker.create_model(
        ModelName="good",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": IMAGE + "4f" * 32,
            "ModelDataUrl": "s3://models/churn/9f2c51d07a/model.tar.gz",
        },
    )
    make_broken_model(aws, "bad")
    for name, model, variants, count in (
        ("c1", "good", ("main",), 1),
        ("c2", "good", ("main",), 2),
        ("bad", "bad", ("main",), 1),
        ("ab", "good", ("blue", "green"), 1),
    ):
        sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": variant,
                    "ModelName": model,
                    "InstanceType": INSTANCE,
                    "InitialInstanceCount": count,
                    "InitialVariantWeight": 1,
                }
                for variant in variants
            ],
        )


class World:
    """The Airflow, and the AWS that its tasks deploy to."""

    def __init__(self, aws: LocalAws, airflow: Airflow) -> None:
        self.aws = aws
        self.airflow = airflow

    def start(self, dag_id: str, **conf: str) -> str:
        """Start a run, and return its id."""
        run = self.airflow.api(
            "POST", f"dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf or None}
        )
        return str(run["dag_run_id"])

    def ended(self, dag_id: str, run_id: str) -> Any:
        """Wait until a run has ended, and return it."""

        def end() -> Any:
            run = self.airflow.api("GET", f"dags/{dag_id}/dagRuns/{run_id}")
            return run if run["state"] in ("success", "failed") else None

        return self.airflow.until(f"a run of {dag_id} ends", end)

    def run(self, dag_id: str, **conf: str) -> Any:
        """Start a run, wait until it has ended, and return it."""
        return self.ended(dag_id, self.start(dag_id, **conf))


@contextmanager
def world(
    home: Path, environment: Mapping[str, str] | None = None, user: tuple[str, str] | None = None
) -> Iterator[World]:
    """Start both.

    :param home: An existing folder, which becomes Airflow's home.
    :param environment: Further environment variables of Airflow.
    :param user: Name and password of the user who starts the runs (default: everybody is an administrator).
    """
    with LocalAws(engine="none", transition_seconds=DEFERRED_TRANSITION) as aws:
        make_configs(aws)
        dags = home / "dags"
        dags.mkdir()
        for file in (ROOT / "dags/rollback_endpoint.py", Path(__file__).parent / "dags/deployments.py"):
            (dags / file.name).write_text(file.read_text())
        full = {
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws.connection()),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            **(environment or {}),
        }
        airflow = Airflow(home, dags, full, user=user)
        try:
            airflow.unpause("deploy_now", "deploy_canary", "shift", "rollback_endpoint")
            yield World(aws, airflow)
        finally:
            airflow.stop()
