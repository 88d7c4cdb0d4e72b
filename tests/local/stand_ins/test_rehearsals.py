"""Deployments of AWS's own images, rehearsed with their stand-ins on both engines."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from docker.errors import DockerException

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.engines import base_image, stand_in_program
from airflow_sm_hosting.local.engines.stand_in_program import ensure_stand_in_image, stand_in_command
from airflow_sm_hosting.local.stand_ins.container.contracts import Contract
from airflow_sm_hosting.local.stand_ins.container.exchange import Reply, Setting
from airflow_sm_hosting.local.stand_ins.container.service import StandInService, handler_of
from tests.local.conftest import ROLE, Deployer, tar_bytes, wait_until
from tests.local.engines.images import build_and_push

DLC = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
FRAMEWORKS = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
LMI = f"{DLC}/djl-inference:0.36.0-lmi28.0.0-cu130"
VLLM = f"{DLC}/vllm:0.17.0-gpu-py312-cu129-ubuntu22.04-sagemaker"
TGI = f"{DLC}/huggingface-pytorch-tgi-inference:2.7.0-tgi3.3.6-gpu-py311-cu124-ubuntu22.04"
SKLEARN = f"{FRAMEWORKS}/sagemaker-scikit-learn:1.4-2-cpu-py3"
XGBOOST = f"{FRAMEWORKS}/sagemaker-xgboost:1.7-1"
PYTORCH = f"{DLC}/pytorch-inference:2.6.0-cpu-py312-ubuntu22.04-sagemaker"

NO_IMAGE = (
    "Please make sure all images included in the model for the production variant main exist, and that the execution role used to "
    "create the model has permissions to access them."
)


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.engine)])
def rehearsing(request: pytest.FixtureRequest) -> Deployer:
    found: Deployer = request.getfixturevalue(f"{request.param}_deployer")
    return found


def deploy(deployer: Deployer, image: str, data: bytes | None = None, **environment: str) -> str:
    more = {"ModelDataUrl": deployer.upload(data)} if data else {}
    model = deployer.model(Image=image, Environment=environment, **more)
    return deployer.endpoint(deployer.config(deployer.variant(model)))


def ask(
    deployer: Deployer, endpoint: str, body: Any, content_type: str = "application/json", **more: Any
) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = deployer.runtime.invoke_endpoint(
        EndpointName=endpoint, Body=data, ContentType=content_type, **more
    )
    return answer["Body"].read()


def stream(deployer: Deployer, endpoint: str, body: Any) -> list[bytes]:
    answer = deployer.runtime.invoke_endpoint_with_response_stream(
        EndpointName=endpoint, Body=json.dumps(body).encode(), ContentType="application/json"
    )
    return [event["PayloadPart"]["Bytes"] for event in answer["Body"]]


def test_an_lmi_model_is_deployed_and_streams(rehearsing: Deployer) -> None:
    endpoint = deploy(rehearsing, LMI, HF_MODEL_ID="team/model")
    assert rehearsing.describe(endpoint)["EndpointStatus"] == "InService"
    asked = {"inputs": "Hello", "parameters": {"max_new_tokens": 4}}
    text = json.loads(ask(rehearsing, endpoint, asked))["generated_text"]
    parts = stream(rehearsing, endpoint, {**asked, "stream": True})
    lines = [json.loads(line) for line in b"".join(parts).splitlines()]
    assert [line["token"]["text"] for line in lines] == re.findall(r"\S+|\s\S+", text)
    assert lines[-1]["generated_text"] == text
    # As it is generated: a part a token.
    assert len(parts) == 4


def test_a_tgi_model_is_deployed_and_streams(rehearsing: Deployer) -> None:
    endpoint = deploy(rehearsing, TGI, HF_MODEL_ID="team/model")
    (answer,) = json.loads(ask(rehearsing, endpoint, {"inputs": "Hello"}))
    events = b"".join(stream(rehearsing, endpoint, {"inputs": "Hello", "stream": True})).split(b"\n\n")
    assert json.loads(events[-2].removeprefix(b"data:"))["generated_text"] == answer["generated_text"]
    error = rehearsing.runtime.exceptions.ModelError
    with pytest.raises(error) as caught:
        ask(rehearsing, endpoint, {"text": "Hello"})
    assert caught.value.response["OriginalStatusCode"] == 422


def test_tgi_without_its_model_fails_as_its_container_does(rehearsing: Deployer) -> None:
    endpoint = deploy(rehearsing, TGI)
    found = rehearsing.describe(endpoint)
    assert found["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in found["FailureReason"]
    assert "HF_MODEL_ID is not set" in rehearsing.log(endpoint)


def test_a_model_that_cannot_be_downloaded_fails(rehearsing: Deployer) -> None:
    name = rehearsing.name("model")
    rehearsing.sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        EnableNetworkIsolation=True,
        PrimaryContainer={"Image": TGI, "Environment": {"HF_MODEL_ID": "team/model"}},
    )
    endpoint = rehearsing.endpoint(rehearsing.config(rehearsing.variant(name)))
    assert rehearsing.describe(endpoint)["EndpointStatus"] == "Failed"
    assert "cannot be downloaded, as the container has no network" in rehearsing.log(endpoint)


def test_a_scikit_learn_model_is_deployed(rehearsing: Deployer) -> None:
    data = tar_bytes({"model.joblib": b"1", "code/inference.py": b"raise SystemExit('it was run')"})
    endpoint = deploy(rehearsing, SKLEARN, data)
    numbers = json.loads(ask(rehearsing, endpoint, [[1, 2], [3, 4]]))
    assert len(numbers) == 2
    lines = ask(rehearsing, endpoint, b"1,2\n3,4\n", "text/csv", Accept="text/csv")
    assert len(lines.splitlines()) == 2
    # No code of the artifact is run.
    assert "it was run" not in rehearsing.log(endpoint)
    assert "the script of the model data is not run" in rehearsing.log(endpoint)


def test_an_xgboost_model_is_deployed(rehearsing: Deployer) -> None:
    endpoint = deploy(rehearsing, XGBOOST, tar_bytes({"xgboost-model": b"1"}))
    numbers = ask(rehearsing, endpoint, b"1,2\n3,4\n", "text/csv").split(b",")
    assert [0 <= float(number) <= 1 for number in numbers] == [True, True]
    with pytest.raises(rehearsing.runtime.exceptions.ModelError) as caught:
        ask(rehearsing, endpoint, {"instances": []})
    assert caught.value.response["OriginalStatusCode"] == 415


def test_what_stands_in_is_said_and_described(rehearsing: Deployer) -> None:
    endpoint = deploy(rehearsing, LMI, HF_MODEL_ID="team/model")
    (variant,) = rehearsing.describe(endpoint)["ProductionVariants"]
    (image,) = variant["DeployedImages"]
    assert image["SpecifiedImage"] == LMI
    assert re.fullmatch(re.escape(LMI.rpartition(":")[0]) + "@sha256:[0-9a-f]{64}", image["ResolvedImage"])
    log = rehearsing.log(endpoint)
    assert f"A STAND-IN (family lmi) runs in place of {LMI}" in log
    assert f"STAND-IN of the local AWS for {LMI}" in log


def test_an_image_of_others_and_a_wrong_region_do_not_exist(rehearsing: Deployer) -> None:
    wrong = LMI.replace("us-east-1", "ap-east-1")
    endpoint = deploy(rehearsing, wrong, HF_MODEL_ID="team/model")
    found = rehearsing.describe(endpoint)
    assert (found["EndpointStatus"], found["FailureReason"]) == ("Failed", NO_IMAGE)
    assert "it is 871362719292 there" in rehearsing.log(endpoint)
    other = "999999999999.dkr.ecr.us-east-1.amazonaws.com/djl-inference:1"
    endpoint = deploy(rehearsing, other, HF_MODEL_ID="team/model")
    assert rehearsing.describe(endpoint)["FailureReason"] == NO_IMAGE
    assert "sm-hosting local up --stand-in 'djl-inference:1=NAME'" in rehearsing.log(endpoint)


def test_the_local_registry_s_image_is_preferred(process_deployer: Deployer) -> None:
    deployer = process_deployer
    deployer.aws.client("ecr").create_repository(repositoryName="sagemaker-xgboost")
    deployer.push_image(repository="sagemaker-xgboost", tag="9.9-1")
    endpoint = deploy(deployer, XGBOOST.replace("1.7-1", "9.9-1"), VERSION="mine")
    assert deployer.invoke(endpoint)["version"] == "mine"
    assert "as it is in the local registry" in deployer.log(endpoint)
    # Another tag is stood in for.
    other = deploy(deployer, XGBOOST, tar_bytes({"xgboost-model": b"1"}))
    assert "STAND-IN" in deployer.log(other)


@pytest.mark.engine
def test_the_engine_s_own_image_is_preferred(
    docker_deployer: Deployer, docker_client: Any, debian_base_image: str
) -> None:
    pushed = build_and_push(docker_client, docker_deployer, debian_base_image)
    name = XGBOOST.replace("1.7-1", "9.9-2")
    user, password = "AWS", _password(docker_deployer.aws)
    docker_client.images.pull(pushed, auth_config={"username": user, "password": password}).tag(name)
    try:
        endpoint = deploy(docker_deployer, name, VERSION="mine")
        assert docker_deployer.invoke(endpoint)["version"] == "mine"
        assert "STAND-IN" not in docker_deployer.log(endpoint)
        # Also for a DAG, whose tasks name it by the digest that ECR answers.
        (found,) = docker_deployer.aws.client("ecr").batch_get_image(
            registryId="683313688378",
            repositoryName="sagemaker-xgboost",
            imageIds=[{"imageTag": "9.9-2"}],
        )["images"]
        pinned = f"{name.rpartition(':')[0]}@{found['imageId']['imageDigest']}"
        endpoint = deploy(docker_deployer, pinned, VERSION="mine")
        assert docker_deployer.invoke(endpoint)["version"] == "mine"
        (variant,) = docker_deployer.describe(endpoint)["ProductionVariants"]
        assert variant["DeployedImages"][0]["ResolvedImage"] == pinned
    finally:
        docker_client.images.remove(name)


def _password(aws: LocalAws) -> str:
    from tests.local.conftest import login_of

    return login_of(aws)[1]


def test_an_adapter_is_served_beside_its_base(process_deployer: Deployer) -> None:
    deployer = process_deployer
    model = deployer.model(Image=VLLM, Environment={"HF_MODEL_ID": "team/model"})
    host = {
        "VariantName": "main",
        "InstanceType": "ml.g5.2xlarge",
        "InitialInstanceCount": 1,
    }
    config = deployer.name("config")
    deployer.sagemaker.create_endpoint_config(
        EndpointConfigName=config, ExecutionRoleArn=ROLE, ProductionVariants=[host]
    )
    endpoint = deployer.endpoint(config)
    needs = {"NumberOfAcceleratorDevicesRequired": 1, "MinMemoryRequiredInMb": 1024}
    base, law = deployer.name("base"), deployer.name("law")

    def in_service(name: str) -> bool:
        found = deployer.sagemaker.describe_inference_component(InferenceComponentName=name)
        assert found["InferenceComponentStatus"] != "Failed", found
        return found["InferenceComponentStatus"] == "InService"

    deployer.sagemaker.create_inference_component(
        InferenceComponentName=base,
        EndpointName=endpoint,
        VariantName="main",
        Specification={"ModelName": model, "ComputeResourceRequirements": needs},
        RuntimeConfig={"CopyCount": 1},
    )
    wait_until(lambda: in_service(base))
    weights = {"ArtifactUrl": deployer.upload(tar_bytes({"adapter_config.json": b"{}"}))}
    deployer.sagemaker.create_inference_component(
        InferenceComponentName=law,
        EndpointName=endpoint,
        Specification={"BaseInferenceComponentName": base, "Container": weights},
    )
    wait_until(lambda: in_service(law))
    chat = {"messages": [{"role": "user", "content": "Hello"}]}
    models = [
        json.loads(ask(deployer, endpoint, chat, InferenceComponentName=name))["model"]
        for name in (base, law)
    ]
    assert models == ["team/model", law]


def test_models_of_a_multi_model_container_are_loaded(process_deployer: Deployer) -> None:
    deployer = process_deployer
    bucket = deployer.upload(tar_bytes({"a": b"1"}), "models/a.tar.gz").split("/")[2]
    deployer.aws.client("s3").put_object(Bucket=bucket, Key="models/b.tar.gz", Body=tar_bytes({"b": b"2"}))
    model = deployer.model(
        Image=SKLEARN,
        Mode="MultiModel",
        ModelDataUrl=f"s3://{bucket}/models/",
        Environment={"SAGEMAKER_PROGRAM": "inference.py"},
    )
    endpoint = deployer.endpoint(deployer.config(deployer.variant(model)))
    for name in ("a.tar.gz", "b.tar.gz"):
        assert len(json.loads(ask(deployer, endpoint, [[1, 2]], TargetModel=name))) == 1


# Servers that are started otherwise


@pytest.fixture(scope="module")
def without() -> Iterator[Deployer]:
    with LocalAws(engine="process", transition_seconds=0, stand_ins=False) as aws:
        yield Deployer(aws)


def test_without_stand_ins_aws_s_images_do_not_exist(without: Deployer) -> None:
    endpoint = deploy(without, XGBOOST, tar_bytes({"xgboost-model": b"1"}))
    assert without.describe(endpoint)["FailureReason"] == NO_IMAGE
    assert "sm-hosting local up --stand-ins" in without.log(endpoint)
    ecr = without.aws.client("ecr")
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.batch_get_image(
            registryId="683313688378", repositoryName="sagemaker-xgboost", imageIds=[{"imageTag": "1.7-1"}]
        )


def test_ecr_knows_the_images_that_are_stood_in_for(process_deployer: Deployer) -> None:
    ecr = process_deployer.aws.client("ecr")

    def asked(*image_ids: dict[str, str], registry: str = "683313688378") -> dict[str, Any]:
        return ecr.batch_get_image(registryId=registry, repositoryName="tei-cpu", imageIds=list(image_ids))

    answer = asked({"imageTag": "1.7-1"}, {"imageDigest": "sha256:" + "a" * 64})
    (image,), (failure,) = answer["images"], answer["failures"]
    assert failure["failureCode"] == "ImageNotFound"
    digest = hashlib.sha256(image["imageManifest"].encode()).hexdigest()
    assert image["imageId"] == {"imageTag": "1.7-1", "imageDigest": f"sha256:{digest}"}
    # What runs is what was asked for.
    named = f"{FRAMEWORKS}/tei-cpu"
    for name in (f"{named}:1.7-1", f"{named}@sha256:{digest}"):
        endpoint = deploy(process_deployer, name, HF_MODEL_ID="m")
        (variant,) = process_deployer.describe(endpoint)["ProductionVariants"]
        assert variant["DeployedImages"][0]["ResolvedImage"] == f"{named}@sha256:{digest}"
    for other in ("763104351884", "999999999999"):
        with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
            asked({"imageTag": "1.7-1"}, registry=other)


def test_images_of_the_user_s_run_in_place_of_others(tmp_path: Path) -> None:
    mapping = {
        "pytorch-inference:*": "team/mine:v1",
        # Longer, and of another tag: it counts only where the tag of a digest is not known.
        "pytorch-inference:99.9.*": "team/absent",
        "999999999999.*/else:1": "team/mine:v1",
        "vllm:*": "team/absent",
    }
    log_file = tmp_path / "log"
    with LocalAws(engine="process", transition_seconds=0, stand_ins=mapping, log_file=log_file) as aws:
        deployer = Deployer(aws)
        aws.client("ecr").create_repository(repositoryName="team/mine")
        deployer.push_image(repository="team/mine", tag="v1")
        (details,) = aws.client("ecr").describe_images(repositoryName="team/mine")["imageDetails"]
        digest = details["imageDigest"]
        for image in (PYTORCH, "999999999999.dkr.ecr.us-east-1.amazonaws.com/else:1"):
            endpoint = deploy(deployer, image, VERSION="mine")
            assert deployer.invoke(endpoint)["version"] == "mine"
            (variant,) = deployer.describe(endpoint)["ProductionVariants"]
            (shown,) = variant["DeployedImages"]
            assert shown["SpecifiedImage"] == image
            assert shown["ResolvedImage"] == f"{image.rpartition(':')[0]}@{digest}"
        # So it is for a DAG, which resolves tags to digests before it creates the model.
        (found,) = aws.client("ecr").batch_get_image(
            registryId="763104351884",
            repositoryName="pytorch-inference",
            imageIds=[{"imageTag": "2.6.0-cpu-py312-ubuntu22.04-sagemaker"}],
        )["images"]
        assert found["imageId"]["imageDigest"] == digest
        endpoint = deploy(deployer, f"{DLC}/pytorch-inference@{digest}", VERSION="mine")
        assert deployer.invoke(endpoint)["version"] == "mine"
        # The other families are stood in for, and a chosen image that is absent is no stand-in.
        assert "family xgboost" in deployer.log(deploy(deployer, XGBOOST, tar_bytes({"m": b"1"})))
        assert deployer.describe(deploy(deployer, VLLM))["FailureReason"] == NO_IMAGE
    said = log_file.read_text()
    assert f"The image team/mine:v1 runs in place of {PYTORCH}" in said
    assert f"A STAND-IN (family xgboost) runs in place of {XGBOOST}" in said


def test_a_stand_in_takes_as_long_to_start_as_it_is_told() -> None:
    with LocalAws(engine="process", transition_seconds=0, stand_in_startup_seconds=3600) as aws:
        deployer = Deployer(aws)
        # The model's own environment counts first.
        quick = deploy(deployer, LMI, HF_MODEL_ID="m", SM_HOSTING_STAND_IN_STARTUP_SECONDS="0")
        assert deployer.describe(quick)["EndpointStatus"] == "InService"
        slow_model = deployer.model(Image=LMI, Environment={"HF_MODEL_ID": "m"})
        slow = deployer.endpoint(deployer.config(deployer.variant(slow_model)), wait=False)
        wait_until(lambda: "STAND-IN of" in _log_so_far(deployer, slow))
        assert deployer.describe(slow)["EndpointStatus"] == "Creating"


def _log_so_far(deployer: Deployer, endpoint: str) -> str:
    try:
        return deployer.log(endpoint)
    except deployer.aws.client("logs").exceptions.ResourceNotFoundException:
        return ""


# The program by itself


def test_the_program_binds_this_computer_only_and_ends_on_sigterm() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command, environment = stand_in_command()
    told = {"SM_HOSTING_STAND_IN_FAMILY": "pytorch", "SAGEMAKER_BIND_TO_PORT": str(port)}
    process = subprocess.Popen(command, env={**environment, **told}, stdout=subprocess.DEVNULL)
    try:
        http = urllib3.PoolManager(retries=False)

        def answers() -> bool:
            assert process.poll() is None
            try:
                return http.request("GET", f"http://127.0.0.1:{port}/ping").status == 200
            except urllib3.exceptions.HTTPError:
                return False

        wait_until(answers)
        with pytest.raises(urllib3.exceptions.HTTPError):
            http.request("GET", f"http://127.0.0.2:{port}/ping")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()


def test_a_part_of_a_stream_is_sent_before_the_next_one_is_made() -> None:
    received = threading.Event()

    def parts() -> Iterator[bytes]:
        yield b"first"
        assert received.wait(30)
        yield b"second"

    contract = Contract(lambda _: Reply(content_type="text/plain", parts=parts()), lambda _: "")
    handler = handler_of(StandInService(contract, Setting({}, has_model=True)))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        http = urllib3.PoolManager(retries=False, timeout=20)
        url = f"http://127.0.0.1:{server.server_port}/invocations"
        answer = http.request("POST", url, body=b"{}", preload_content=False)
        chunks = answer.read_chunked()
        assert next(chunks) == b"first"
        received.set()
        assert list(chunks) == [b"second"]
        server.shutdown()


def test_the_program_imports_only_the_standard_library() -> None:
    command, environment = stand_in_command()
    script = (
        "import sys, airflow_sm_hosting.local.stand_ins.container.__main__\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [command[0], "-S", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['__main__', 'airflow_sm_hosting']"


def test_without_packages_of_debian_a_public_image_is_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the engine there is a stub: what it can pull depends on the network."""
    pulled: list[str] = []

    def fails(*_: Any) -> str:
        raise ImageBuildError("no apt here")

    monkeypatch.setattr(base_image, "ensure_debian_python_base", fails)
    client: Any = SimpleNamespace(images=SimpleNamespace(pull=pulled.append))
    assert stand_in_program._base(client) == "python:3.12-slim"
    assert pulled == ["python:3.12-slim"]

    def refuses(_: str) -> None:
        raise DockerException("no network")

    client.images.pull = refuses
    with pytest.raises(
        ImageBuildError, match=r"no apt here.*python:3\.12-slim cannot be pulled, either: no network"
    ):
        stand_in_program._base(client)


@pytest.mark.engine
def test_the_image_of_the_stand_ins_has_compiled_modules(docker_client: Any) -> None:
    image = ensure_stand_in_image(docker_client)
    script = (
        "import importlib.util, os\n"
        "for name in ('http.server', 'email.parser', 'airflow_sm_hosting.local.stand_ins.container.kserve'):\n"
        "    print(os.path.exists(importlib.util.find_spec(name).cached))"
    )
    # -B: so that looking does not compile.
    said = docker_client.containers.run(
        image, ["-c", script], entrypoint=["python3", "-S", "-B"], remove=True
    )
    assert said.split() == [b"True"] * 3
    assert ensure_stand_in_image(docker_client) == image
