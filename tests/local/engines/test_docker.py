from __future__ import annotations

import os
import signal
from typing import Any

import docker
import pytest

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.engines.base_image import ensure_debian_python_base
from tests.local.conftest import ROLE, Deployer, login_of, tar_bytes, wait_until
from tests.local.engines.images import build_and_push

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def base(docker_client: docker.DockerClient) -> Any:
    return ensure_debian_python_base(docker_client)


@pytest.fixture(scope="module")
def local(docker_deployer: Deployer) -> Any:
    return docker_deployer


@pytest.fixture(scope="module")
def image(docker_client: docker.DockerClient, local: Any, base: str) -> Any:
    return build_and_push(docker_client, local, base)


def containers_of(docker_client: docker.DockerClient, endpoint: str) -> Any:
    return [
        container
        for container in docker_client.containers.list(all=True, ignore_removed=True)
        if container.labels.get("sm-hosting.local.name", "").startswith(f"{endpoint}/")
    ]


def test_what_docker_pushed_is_in_ecr(local: Any, image: str) -> None:
    repository, _, digest = image.partition("/")[2].partition("@")
    (details,) = local.aws.client("ecr").describe_images(repositoryName=repository)["imageDetails"]
    assert (details["imageDigest"], details["imageTags"]) == (digest, ["v1"])


def test_push_without_login_or_repository_is_refused(
    docker_client: docker.DockerClient, local: Any, base: str
) -> None:
    host = local.aws.endpoint_url.removeprefix("http://")
    user, password = login_of(local.aws)
    for repository, login, text in (
        (
            local.repository(),
            {"username": "AWS", "password": "wrong"},
            "no basic auth credentials|unauthorized",
        ),
        ("absent", {"username": user, "password": password}, "does not exist"),
    ):
        docker_client.images.get(base).tag(f"{host}/{repository}", "x")
        answer = docker_client.images.push(f"{host}/{repository}", tag="x", auth_config=login)
        docker_client.images.remove(f"{host}/{repository}:x")
        assert any(part in answer.lower() for part in text.split("|")), answer


def test_the_container_runs_as_sagemaker_runs_it(
    docker_client: docker.DockerClient, local: Any, image: str
) -> None:
    data = local.upload(tar_bytes({"weights.txt": b"0.5"}))
    model = local.model(Image=image, ModelDataUrl=data, Environment={"VERSION": "1"})
    endpoint = local.endpoint(local.config(local.variant(model)))
    found = local.describe(endpoint)
    assert found["EndpointStatus"] == "InService", found
    assert found["ProductionVariants"][0]["DeployedImages"][0]["ResolvedImage"] == image
    answer = local.invoke(endpoint, b"1,2", Accept="application/json")
    assert (answer["version"], answer["body"], answer["model"]) == ("1", "1,2", {"weights.txt": "0.5"})
    (container,) = containers_of(docker_client, endpoint)
    assert container.attrs["Config"]["Cmd"] == ["serve"]
    assert {b["HostIp"] for b in container.ports["8080/tcp"]} == {"127.0.0.1"}
    assert container.attrs["HostConfig"]["Binds"] is None
    wait_until(lambda: "answered /invocations" in local.log(endpoint))

    container.kill()
    with pytest.raises(local.runtime.exceptions.ModelError):
        local.invoke(endpoint)
    local.sagemaker.delete_endpoint(EndpointName=endpoint)
    wait_until(lambda: not containers_of(docker_client, endpoint))


def test_a_crashing_container_fails_and_its_traceback_is_in_the_log(
    docker_client: docker.DockerClient, local: Any, image: str
) -> None:
    endpoint = local.endpoint(
        local.config(local.variant(local.model(Image=image, Environment={"CRASH": "1"})))
    )
    assert "did not pass the ping health check" in local.describe(endpoint)["FailureReason"]
    assert "RuntimeError: this container crashes" in local.log(endpoint)
    wait_until(lambda: not containers_of(docker_client, endpoint))


def test_a_rolled_back_update_leaves_the_old_containers_answering(local: Any, image: str) -> None:
    good = local.config(local.variant(local.model(Image=image, Environment={"VERSION": "good"})))
    bad = local.config(local.variant(local.model(Image=image, Environment={"CRASH": "1"})))
    endpoint = local.endpoint(good)
    local.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=bad)
    found = local.settled(endpoint)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", good)
    assert local.invoke(endpoint)["version"] == "good"


def test_a_command_that_does_not_exist_fails_with_the_engines_reason(local: Any) -> None:
    image = local.push_image({"nothing": b""}, config={"Entrypoint": ["/absent"]})
    endpoint = local.endpoint(local.config(local.variant(local.model(Image=image))))
    found = local.describe(endpoint)
    assert found["EndpointStatus"] == "Failed"
    assert "/absent" in found["FailureReason"]


def test_a_stopped_server_leaves_no_container_and_a_killed_ones_are_swept(
    docker_client: docker.DockerClient, base: str
) -> None:
    first = LocalAws(engine="docker", transition_seconds=0)
    first.start()
    deployer = Deployer(first)
    model = deployer.model(Image=build_and_push(docker_client, deployer, base))
    killed = f"killed-{os.getpid()}"
    deployer.sagemaker.create_endpoint(
        EndpointName=killed, EndpointConfigName=deployer.config(deployer.variant(model))
    )
    deployer.settled(killed)
    os.kill(first._process.pid, signal.SIGKILL)
    first.stop()
    assert containers_of(docker_client, killed)

    with LocalAws(engine="docker", transition_seconds=0) as second:
        assert not containers_of(docker_client, killed)
        deployer = Deployer(second)
        model = deployer.model(Image=build_and_push(docker_client, deployer, base))
        stopped = f"stopped-{os.getpid()}"
        deployer.sagemaker.create_endpoint(
            EndpointName=stopped, EndpointConfigName=deployer.config(deployer.variant(model))
        )
        deployer.settled(stopped)
        # A third one does not touch the second one's containers.
        with LocalAws(engine="docker", transition_seconds=0):
            assert containers_of(docker_client, stopped)
    assert not containers_of(docker_client, stopped)


def test_network_isolation_is_without_a_network(
    docker_client: docker.DockerClient, local: Any, image: str
) -> None:
    """API_CreateModel.html, EnableNetworkIsolation: "no inbound or outbound network calls can be made"; invocations still go."""
    name = local.name("isolated")
    local.sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        EnableNetworkIsolation=True,
        PrimaryContainer={"Image": image},
    )
    isolated = local.endpoint(local.config(local.variant(name)))
    free, reached = (local.endpoint(local.config(local.variant(local.model(Image=image)))) for _ in range(2))
    assert local.invoke(isolated)["body"] == "1,2"
    (alone,), (other,), (target,) = (containers_of(docker_client, name) for name in (isolated, free, reached))
    address = target.attrs["NetworkSettings"]["IPAddress"]
    connect = f"import socket; socket.create_connection(({address!r}, 8080), timeout=2)"
    assert other.exec_run(["python3", "-c", connect]).exit_code == 0
    assert alone.exec_run(["python3", "-c", connect]).exit_code == 1


def test_containers_of_a_pipeline_listen_where_they_are_told(
    docker_client: docker.DockerClient, local: Any, image: str
) -> None:
    """multi-container-direct.html: SAGEMAKER_BIND_TO_PORT."""
    name = local.name("pipeline")
    containers = [{"Image": image, "Environment": {"VERSION": version}} for version in "12"]
    local.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, Containers=containers)
    endpoint = local.endpoint(local.config(local.variant(name)))
    answer = local.invoke(endpoint, b"x")
    assert answer["version"] == "2"
    assert '"version": "1"' in answer["body"]
    ports = {
        entry
        for container in containers_of(docker_client, endpoint)
        for entry in container.attrs["Config"]["Env"]
        if entry.startswith("SAGEMAKER_BIND_TO_PORT=")
    }
    assert len(ports) == 2


def test_a_serverless_container_has_its_memory(
    docker_client: docker.DockerClient, local: Any, image: str
) -> None:
    """API_ProductionVariantServerlessConfig.html: MemorySizeInMB."""
    variant = {"VariantName": "main", "ModelName": local.model(Image=image)}
    config = local.config({**variant, "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 2}})
    endpoint = local.endpoint(config)
    (container,) = containers_of(docker_client, endpoint)
    assert container.attrs["HostConfig"]["Memory"] == 1024 * 1024**2


def test_models_are_put_into_a_container_that_runs(
    docker_client: docker.DockerClient, local: Any, image: str
) -> None:
    """mms-container-apis.html: the url of a model is /opt/ml/models/{model_name}/model."""
    archive = local.upload(tar_bytes({"weights": b"7"}), "models/a.tar.gz")
    prefix = archive.removesuffix("a.tar.gz")
    endpoint = local.endpoint(
        local.config(local.variant(local.model(Image=image, Mode="MultiModel", ModelDataUrl=prefix)))
    )
    answer = local.invoke(endpoint, TargetModel="a.tar.gz")
    assert answer["files"] == {"weights": "7"}
    assert answer["url"].startswith("/opt/ml/models/")


def test_adapters_are_put_into_the_container_of_their_base(
    docker_client: docker.DockerClient, local: Any, image: str
) -> None:
    """Where an adapter lies in the container is assumed."""
    variant = {"VariantName": "main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    endpoint = local.endpoint(local.config(variant, ExecutionRoleArn=ROLE))
    base = {
        "ModelName": local.model(Image=image),
        "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128},
    }
    artifact = {"ArtifactUrl": local.upload(tar_bytes({"weights": b"7"}), "adapter.tar.gz")}
    adapter = {"BaseInferenceComponentName": "base", "Container": artifact}
    where = {"VariantName": "main", "RuntimeConfig": {"CopyCount": 1}}
    for name, specification, more in (("base", base, where), ("adapter", adapter, {})):
        local.sagemaker.create_inference_component(
            InferenceComponentName=name, EndpointName=endpoint, Specification=specification, **more
        )

        def status(name: Any = name) -> Any:
            found = local.sagemaker.describe_inference_component(InferenceComponentName=name)
            return found["InferenceComponentStatus"]

        wait_until(lambda status=status: status() not in ("Creating",))
        assert status() == "InService"
    assert local.invoke(endpoint, InferenceComponentName="adapter")["adapter"] == "7"
    assert "adapter" not in local.invoke(endpoint, InferenceComponentName="base")
    assert len(containers_of(docker_client, endpoint)) == 1
    for name in ("adapter", "base"):
        local.sagemaker.delete_inference_component(InferenceComponentName=name)
        wait_until(lambda: len(local.sagemaker.list_inference_components()["InferenceComponents"]) < 2)


def test_an_approved_model_package_is_deployed(local: Any, image: str) -> None:
    sagemaker = local.sagemaker
    sagemaker.create_model_package_group(ModelPackageGroupName="churn")
    # By its tag: the digest is found at the registration.
    tagged = f"{image.partition('@')[0]}:v1"
    container = {
        "Image": tagged,
        "ModelDataUrl": local.upload(tar_bytes({"weights.txt": b"0.5"})),
        "Environment": {"VERSION": "1"},
    }
    arn = sagemaker.create_model_package(
        ModelPackageGroupName="churn", InferenceSpecification={"Containers": [container]}
    )["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    sagemaker.create_model(
        ModelName="of-package", ExecutionRoleArn=ROLE, PrimaryContainer={"ModelPackageName": arn}
    )
    endpoint = local.endpoint(local.config(local.variant("of-package")))
    answer = local.invoke(endpoint)
    assert (answer["version"], answer["model"]) == ("1", {"weights.txt": "0.5"})
    (deployed,) = local.describe(endpoint)["ProductionVariants"][0]["DeployedImages"]
    assert deployed["ResolvedImage"].endswith(image.partition("@")[2])
    sagemaker.delete_endpoint(EndpointName=endpoint)
