"""MLflow's deployment client for SageMaker, unmodified."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.environments import environment, run_client, without_ours
from tests.local.conftest import ROLE, SERVING, Deployer

# The first run installs it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_a_deployment_is_created_asked_updated_and_deleted(deployer: Deployer, tmp_path: Path) -> None:
    deployer.aws.client("s3").create_bucket(Bucket="models")
    # An answer without predictions is none to it.
    served = SERVING.read_bytes().replace(b'"version":', b'"predictions": [0], "version":')
    result = run_client(
        environment("mlflow", "mlflow-skinny", "boto3", "numpy", "pandas", "scipy"),
        "mlflow_deployment",
        deployer.push_image({"opt/program/serve.py": served}),
        "models",
        ROLE,
        str(tmp_path),
        env=without_ours(deployer.aws, HOME=str(tmp_path)),
    )
    assert [answer["version"] for answer in result["answers"]] == ["1", "2"]
    assert "MLmodel" in str(result["answers"][0]["model"])
    assert (result["created"], result["listed"], result["left"]) == ("churn", ["churn"], [])
    assert "an application with the same name already exists" in result["refusal"]
