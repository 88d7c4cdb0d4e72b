"""MLflow's deployment client for SageMaker: a deployment is created, asked, updated and deleted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException

image, bucket, role, folder = sys.argv[1:]
model = Path(folder, "model")
model.mkdir()
# What every logged model has, with the flavor that the client deploys.
(model / "MLmodel").write_text(
    "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    python_version: 3.11.7\n"
)
client = get_deploy_client("sagemaker:/us-east-1")
config = {
    "execution_role_arn": role,
    "bucket": bucket,
    "image_url": image,
    "region_name": "us-east-1",
    "instance_type": "ml.m5.large",
    "instance_count": 1,
    "variant_name": "main",
    "timeout_seconds": 120,
}


def answer() -> dict:
    return dict(client.predict("churn", [1, 2]))


created = client.create_deployment("churn", str(model), config={**config, "env": {"VERSION": "1"}})
answers = [answer()]
client.update_deployment("churn", str(model), config={**config, "mode": "replace", "env": {"VERSION": "2"}})
answers.append(answer())
listed = [one["EndpointName"] for one in client.list_deployments()]
try:
    client.create_deployment("churn", str(model), config=config)
    refusal = None
except MlflowException as error:
    refusal = str(error)
client.delete_deployment("churn", config={"region_name": "us-east-1", "timeout_seconds": 120})
result = {
    "created": created["name"],
    "answers": answers,
    "listed": listed,
    "refusal": refusal,
    "left": client.list_deployments(),
}
print("RESULT" + json.dumps(result, default=str))
