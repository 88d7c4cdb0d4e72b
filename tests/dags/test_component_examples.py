"""The examples with AWS's own images run through Airflow, against the local AWS with stand-ins of these images."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting import policies
from airflow_sm_hosting.local import LocalAws
from tests.dags.runs import Examples

pytestmark = [pytest.mark.airflow_db, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    with LocalAws(engine="process", transition_seconds=0, clock="virtual") as aws:
        aws.client("s3").create_bucket(Bucket="sm-hosting-models")
        aws.client("iam").create_role(
            RoleName="SageMakerHostingRole", AssumeRolePolicyDocument=json.dumps(policies.trust())
        )
        yield Examples(aws, tmp_path_factory.mktemp("examples"))


def test_tenants_share_an_endpoint_and_one_more_is_an_upload(examples: Examples) -> None:
    for name in ("acme", "globex"):
        folder = examples.dags / "tenants" / name
        folder.mkdir(parents=True)
        (folder / "xgboost-model").write_text(name)
    states = examples.run("multi_model", endpoint_name="tenants")
    assert set(states.values()) == {"success"}, states
    assert {"ask[0]", "ask[1]"} <= set(states)
    (examples.dags / "tenants" / "acme" / "xgboost-model").write_text("acme, trained again")
    examples.aws.clear_requests()
    states = examples.run("multi_model", endpoint_name="tenants")
    assert set(states.values()) == {"success"}, states
    changed = [one["operation"] for one in examples.aws.requests() if one["mutating"]]
    assert set(changed) == {"PutObject"}


def test_the_language_model_goes_from_zero_to_two_copies_and_back(examples: Examples) -> None:
    aws = examples.aws
    for language in ("fr", "de"):
        folder = examples.dags / "adapters" / language
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "language": language}))
        (folder / "adapter_model.safetensors").write_bytes(language.encode())
    with aws.passing_time():
        states = examples.run("llm_from_zero", endpoint_name="llm")
    assert set(states.values()) == {"success"}, states
    sagemaker, runtime = aws.client("sagemaker"), aws.client("sagemaker-runtime")

    def ask(component: str) -> str:
        answer = runtime.invoke_endpoint(
            EndpointName="llm",
            InferenceComponentName=component,
            Body=json.dumps({"inputs": "Hello"}).encode(),
            ContentType="application/json",
        )
        return str(json.loads(answer["Body"].read())["generated_text"])

    def copies() -> int:
        described = sagemaker.describe_inference_component(InferenceComponentName="llama")
        return int(described["RuntimeConfig"]["CurrentCopyCount"])

    def instances() -> int:
        (variant,) = sagemaker.describe_endpoint(EndpointName="llm")["ProductionVariants"]
        return int(variant["CurrentInstanceCount"])

    # Nobody asks for hours.
    aws.advance(3 * 3600)
    assert (copies(), instances()) == (0, 0)
    with pytest.raises(ClientError, match="no capacity"):
        ask("llama")
    aws.advance(900)
    assert copies() >= 1  # the alarm may still be on when the first copy is there
    # Each adapter answers by its own name, from the copies of its base.
    assert len({ask("llama"), ask("llama-fr"), ask("llama-de")}) == 3
    for _ in range(3):
        for _ in range(40):
            ask("llama")
        aws.advance(60)
    aws.advance(600)
    assert copies() == 2
    aws.advance(3 * 3600)
    assert (copies(), instances()) == (0, 0)


def test_an_unchanged_run_changes_nothing(examples: Examples) -> None:
    examples.aws.clear_requests()
    with examples.aws.passing_time():
        states = examples.run("llm_from_zero", endpoint_name="llm")
    assert set(states.values()) == {"success"}, states
    changed = [one["operation"] for one in examples.aws.requests() if one["mutating"]]
    assert changed == []
