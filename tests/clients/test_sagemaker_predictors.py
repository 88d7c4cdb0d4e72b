"""The predictors of the SageMaker Python SDK 2 read what the stand-ins answer, each in its family's own way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.environments import environment, run_client, without_ours
from tests.local.conftest import Deployer, tar_bytes

# The first run installs the SDK, which takes minutes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SDK = ("sagemaker-sdk2", "sagemaker<3")
DLC = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
FRAMEWORKS = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
SCRIPT = {"code/inference.py": b"raise SystemExit", "model": b"1"}
#: By family: image, files of the artifact, environment.
DEPLOYED: dict[str, tuple[str, dict[str, bytes], dict[str, str]]] = {
    "sklearn": (f"{FRAMEWORKS}/sagemaker-scikit-learn:1.4-2", SCRIPT, {}),
    "xgboost": (f"{FRAMEWORKS}/sagemaker-xgboost:1.7-1", {"model": b"1"}, {}),
    "pytorch": (f"{DLC}/pytorch-inference:2.6.0-cpu-py312", SCRIPT, {}),
    "tensorflow": (f"{DLC}/tensorflow-inference:2.19.0-cpu", {"1/saved_model.pb": b"1"}, {}),
    "huggingface": (
        f"{DLC}/huggingface-pytorch-inference:2.6.0-transformers4.51.3-cpu-py312-ubuntu22.04",
        {},
        {"HF_MODEL_ID": "m", "HF_TASK": "question-answering"},
    ),
    "tgi": (
        f"{DLC}/huggingface-pytorch-tgi-inference:2.7.0-tgi3.3.6-gpu-py311-cu124-ubuntu22.04",
        {},
        {"HF_MODEL_ID": "m"},
    ),
    "tei": (f"{FRAMEWORKS}/tei-cpu:2.0.1-tei1.8.2-cpu-py310-ubuntu22.04", {}, {"HF_MODEL_ID": "m"}),
    "lmi": (f"{DLC}/djl-inference:0.36.0-lmi28.0.0-cu130", {}, {"HF_MODEL_ID": "m"}),
}


def test_predictors_read_the_answers_of_all_families(deployer: Deployer) -> None:
    names = {family: _deploy(deployer, *what) for family, what in DEPLOYED.items()}
    told: dict[str, Any] = run_client(
        environment(*SDK), "sagemaker2_predictors", json.dumps(names), env=without_ours(deployer.aws)
    )
    assert told["sklearn"] == told["pytorch"] == [2]
    assert len(told["xgboost"][0]) == 2
    assert len(told["tensorflow"]["predictions"]) == 2
    assert told["huggingface"]["answer"] in ("It", "was", "Ann")
    assert told["tgi"][0]["generated_text"].startswith("Stand-in says:")
    assert [len(vector) for vector in told["tei"]] == [384, 384]
    assert told["lmi"]["generated_text"] == told["tgi"][0]["generated_text"]
    assert json.dumps(told["tgi"][0]["generated_text"]) in told["stream"]


def _deploy(
    deployer: Deployer, image: str, files: dict[str, bytes], environment_of_model: dict[str, str]
) -> str:
    data = {"ModelDataUrl": deployer.upload(tar_bytes(files))} if files else {}
    model = deployer.model(Image=image, Environment=environment_of_model, **data)
    endpoint = deployer.endpoint(deployer.config(deployer.variant(model)))
    assert deployer.describe(endpoint)["EndpointStatus"] == "InService"
    return endpoint
