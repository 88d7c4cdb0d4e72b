"""The documented policy of each operator is enough, and none of its permissions is too many.

Each operator runs through all its paths (first run, changed, unchanged) under an IAM user that has exactly the documented policy, and the
local AWS enforces IAM. Then each permission is taken away by itself, and the path that needs it is refused. ``-s`` prints the table.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from airflow.sdk import DAG
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError

from airflow_sm_hosting import (
    AlarmRule,
    BuildImageOperator,
    ConfigureAutoscalingOperator,
    ContainerDefinition,
    ContainerImage,
    CreateCompositeAlarmOperator,
    CreateEndpointAlarmOperator,
    CreateEndpointConfigOperator,
    CreateLatencyAlarmOperator,
    CreateModelOperator,
    DeleteEndpointOperator,
    DeployEndpointOperator,
    EndpointInServiceSensor,
    EndpointMetric,
    EnsureExecutionRoleOperator,
    InstanceProductionVariant,
    InvocationsScaling,
    InvokeEndpointOperator,
    ModelData,
    RemoveAutoscalingOperator,
    ScheduledScaling,
    UploadModelDataOperator,
    get_metric,
    policies,
)
from airflow_sm_hosting.artifacts import upload
from airflow_sm_hosting.exceptions import InvocationError, ModelDataError, NotFoundError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.provider_info import get_provider_info
from airflow_sm_hosting.spec.tags import OURS
from tests.iam.conftest import Worker
from tests.local.conftest import Deployer
from tests.local_servers import local_server
from tests.operators.conftest import (
    Ran,
    _quick,
    event_hook,
    make_config,
    make_endpoint,
    make_model,
    refusal,
    run_task,
    settled,
    task_id,
)
from tests.operators.scaling_gaps import _none, autoscaling_client, gaps_filled

KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
ROLE_ARN = "arn:aws:iam::123456789012:role/{}"
#: Tags of scalable targets, which the tests answer themselves as long as the local AWS does not: no IAM is asked for them.
TAGS_OF_TARGETS = {
    "application-autoscaling:ListTagsForResource",
    "application-autoscaling:UntagResource",
}

_NUMBERS = itertools.count(1)


class Scene:
    """What one run of a path is about: names of its own, and what must be there before it.

    :param aws: The local AWS; its own key is root.
    :param folder: An empty folder.
    """

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        number = next(_NUMBERS)
        self.aws = aws
        self.root = aws.client("sagemaker")
        self.folder = folder / str(number)
        self.folder.mkdir()
        self.model, self.config, self.endpoint = (
            f"{kind}{number}" for kind in ("model", "config", "endpoint")
        )
        self.alarm, self.role, self.repository = (
            f"{kind}{number}" for kind in ("alarm", "role", "repository")
        )
        self.prefix = f"prefix{number}"
        self._endpoints: list[str] = []

    def names(self) -> dict[str, Any]:
        """Return what the policy is about: this run's own resources, and no others."""
        return {
            "endpoints": [self.endpoint, f"{self.endpoint}-?"],
            "endpoint_configs": [f"{self.config}*"],
            "models": [f"{self.model}*"],
            "alarms": [f"{self.alarm}*"],
            "repositories": [self.repository],
            "model_data": [f"s3://models/{self.prefix}/"],
            "execution_roles": [self.role],
            "kms_key_ids": [KEY],
            "volume_kms_key_ids": [KEY],
            "region_name": self.aws.region_name,
            "account_id": self.aws.account_id,
        }

    def run(self, operator: type, **options: Any) -> Ran:
        return run_task(operator(task_id=task_id(), **options))

    # What root makes

    def make_config(self, suffix: str = "", **variant: Any) -> str:
        return make_config(
            self.aws, f"{self.config}{suffix}", make_model(self.aws, f"{self.model}{suffix}"), **variant
        )

    def make_endpoint(self, config: str | None = None, suffix: str = "") -> str:
        name = f"{self.endpoint}{suffix}"
        self._endpoints.append(name)
        return make_endpoint(self.aws, config or self.make_config(), name)

    def scale(self, variant: str = "main") -> None:
        self.aws.client("application-autoscaling").register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=f"endpoint/{self.endpoint}/variant/{variant}",
            ScalableDimension="sagemaker:variant:DesiredInstanceCount",
            MinCapacity=1,
            MaxCapacity=4,
        )

    def make_role(self) -> str:
        self.aws.client("iam").create_role(
            RoleName=self.role,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}),
            Tags=[{"Key": key, "Value": value} for key, value in OURS.items()],
        )
        return ROLE_ARN.format(self.role)

    def put_object(self, name: str) -> str:
        self.aws.client("s3").put_object(Bucket="models", Key=f"{self.prefix}/{name}", Body=b"1")
        return f"{self.prefix}/{name}"

    def close(self) -> None:
        """Take the endpoints away: deleting one looks at all of them."""
        for name in self._endpoints:
            with suppress(self.root.exceptions.ClientError):
                self.root.delete_endpoint(EndpointName=name)


PathOf = Callable[[Scene], None]
#: What an operator may come upon, by its name.
PATHS: dict[str, list[PathOf]] = defaultdict(list)


def path_of(*operators: str) -> Callable[[PathOf], PathOf]:
    """Mark a function as a path of these operators."""

    def mark(path: PathOf) -> PathOf:
        for operator in operators:
            PATHS[operator].append(path)
        return path

    return mark


# Images and artifacts


@path_of("BuildImageOperator")
def an_image_that_is_not_there(scene: Scene) -> None:
    # Another content each time: what the registry has is not pushed again.
    (scene.folder / "serve.py").write_text(scene.repository)
    dockerfile = 'FROM scratch\nCOPY serve.py /\nENTRYPOINT ["python3", "/serve.py"]\n'
    (scene.folder / "Dockerfile").write_text(dockerfile)
    options: dict[str, Any] = {
        "directory": str(scene.folder),
        "repository_name": scene.repository,
        "builder": "assembler",
    }
    scene.run(BuildImageOperator, **options)
    assert not scene.run(BuildImageOperator, **options, image_tag="latest").details["built"]


@path_of("BuildImageOperator")
def an_image_on_a_base_of_the_same_registry(scene: Scene) -> None:
    base = Deployer(scene.aws).push_image({}, repository=make_repository(scene), tag="base")
    (scene.folder / "Dockerfile").write_text(f"FROM {base}\n")
    scene.run(
        BuildImageOperator,
        directory=str(scene.folder),
        repository_name=scene.repository,
        builder="assembler",
    )


@path_of("UploadModelDataOperator")
def an_artifact_that_is_not_there(scene: Scene) -> None:
    (scene.folder / "weights").write_text("1")
    options = {
        "path": str(scene.folder),
        "bucket_name": "models",
        "key_prefix": scene.prefix,
        "kms_key_id": KEY,
    }
    assert scene.run(UploadModelDataOperator, **options).details["uploaded"]
    assert not scene.run(UploadModelDataOperator, **options).details["uploaded"]


@path_of("UploadModelDataOperator")
def an_artifact_in_parts(scene: Scene) -> None:
    big_artifact(scene)
    scene.run(
        UploadModelDataOperator,
        path=str(scene.folder),
        bucket_name="models",
        key_prefix=scene.prefix,
        kms_key_id=KEY,
    )


@path_of("UploadModelDataOperator")
def an_upload_in_parts_that_fails(scene: Scene) -> None:
    from airflow_sm_hosting.hooks import ModelDataHook

    big_artifact(scene)
    options = {"path": str(scene.folder), "bucket_name": "models", "key_prefix": scene.prefix}
    with (
        event_hook(ModelDataHook().conn, "before-call.*.UploadPart", lambda **_: refusal("InternalError")),
        pytest.raises(ModelDataError),
    ):
        scene.run(UploadModelDataOperator, **options)
    left = scene.aws.client("s3").list_multipart_uploads(Bucket="models", Prefix=scene.prefix)
    assert "Uploads" not in left, "the parts were left behind"


def big_artifact(scene: Scene) -> None:
    (scene.folder / "weights").write_bytes(random.randbytes(6 * 1024 * 1024))


# Models and configs


@path_of("CreateModelOperator")
def a_model_and_its_tags_later(scene: Scene) -> None:
    scene.make_role()
    Deployer(scene.aws).push_image({}, repository=make_repository(scene), tag="1")
    scene.put_object("prefix/a")
    data = [
        ModelData.from_bucket("models", scene.put_object("model.tar.gz")),
        ModelData.from_prefix("models", f"{scene.prefix}/prefix"),
    ]
    image = ContainerImage.from_ecr_repository(scene.repository, "1")
    options: dict[str, Any] = {
        "model_name": scene.model,
        "containers": [ContainerDefinition(image=image, model_data=one) for one in data],
        "execution_role": scene.role,
    }
    assert scene.run(CreateModelOperator, **options).details["created"]
    assert not scene.run(CreateModelOperator, **options, tags={"a": "b"}).details["created"]


def make_repository(scene: Scene) -> str:
    scene.aws.client("ecr").create_repository(repositoryName=scene.repository)
    return scene.repository


@path_of("CreateEndpointConfigOperator")
def a_config_and_its_tags_later(scene: Scene) -> None:
    model = make_model(scene.aws, scene.model)
    options: dict[str, Any] = {
        "endpoint_config_name": scene.config,
        "production_variants": [InstanceProductionVariant(model_name=model, variant_name="main")],
    }
    assert scene.run(CreateEndpointConfigOperator, **options).details["created"]
    assert not scene.run(CreateEndpointConfigOperator, **options, tags={"a": "b"}).details["created"]


# Endpoints


def deploy(scene: Scene, config: str, **options: Any) -> str:
    scene._endpoints.append(scene.endpoint)
    ran = scene.run(
        DeployEndpointOperator,
        endpoint_name=scene.endpoint,
        endpoint_config_name=config,
        poll_interval=0.1,
        **options,
    )
    return str(ran.details["action"])


@path_of("DeployEndpointOperator")
def an_endpoint_that_is_not_there(scene: Scene) -> None:
    config = scene.make_config()
    assert deploy(scene, config) == "create"
    assert deploy(scene, config) == "unchanged"


@path_of("DeployEndpointOperator")
def an_endpoint_on_an_encrypted_volume(scene: Scene) -> None:
    variant = {
        "VariantName": "main",
        "ModelName": make_model(scene.aws, scene.model),
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    scene.root.create_endpoint_config(
        EndpointConfigName=scene.config, KmsKeyId=KEY, ProductionVariants=[variant]
    )
    assert deploy(scene, scene.config) == "create"


@path_of("DeployEndpointOperator")
def an_update_beside_autoscaling(scene: Scene) -> None:
    model = make_model(scene.aws, scene.model)
    for suffix, count in (("1", 1), ("2", 2)):
        scene.root.create_endpoint_config(
            EndpointConfigName=f"{scene.config}-{suffix}",
            ProductionVariants=[
                {
                    "VariantName": variant,
                    "ModelName": model,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": count,
                }
                for variant in ("scaled", "fixed")
            ],
        )
    scene.make_endpoint(f"{scene.config}-1")
    scene.scale("scaled")
    assert deploy(scene, f"{scene.config}-2", tags={"a": "b"}) == "update"
    described = settled(scene.aws, scene.endpoint)["ProductionVariants"]
    assert {one["VariantName"]: one["DesiredInstanceCount"] for one in described} == {"scaled": 1, "fixed": 2}


@path_of("DeployEndpointOperator")
def a_failed_endpoint(scene: Scene) -> None:
    image = Deployer(scene.aws).push_image({}, repository=make_repository(scene), tag="1")
    scene.root.create_model(
        ModelName=scene.model, PrimaryContainer={"Image": image}, ExecutionRoleArn=ROLE_ARN.format("any")
    )
    scene.aws.client("ecr").batch_delete_image(repositoryName=scene.repository, imageIds=[{"imageTag": "1"}])
    scene.make_endpoint(make_config(scene.aws, f"{scene.config}-broken", scene.model))
    assert settled(scene.aws, scene.endpoint)["EndpointStatus"] == "Failed"
    assert deploy(scene, scene.make_config("-good")) == "replace"


@path_of("DeleteEndpointOperator")
def an_endpoint_and_all_that_it_is_made_of(scene: Scene) -> None:
    scene.make_endpoint()
    scene.scale()
    scene.run(
        DeleteEndpointOperator,
        endpoint_name=scene.endpoint,
        delete_endpoint_config=True,
        delete_models=True,
        poll_interval=0.1,
    )
    with pytest.raises(scene.root.exceptions.ClientError, match="Could not find model"):
        scene.root.describe_model(ModelName=scene.model)


@path_of("InvokeEndpointOperator")
def an_invocation(scene: Scene) -> None:
    scene.make_endpoint()
    # It has got through IAM when it hears that there are no containers here.
    with pytest.raises(InvocationError, match="engine 'none'"):
        scene.run(InvokeEndpointOperator, endpoint_name=scene.endpoint, body={})


@path_of("InvokeEndpointOperator")
def an_invocation_of_a_variant_that_is_not_there(scene: Scene) -> None:
    scene.make_endpoint()
    with pytest.raises((InvocationError, NotFoundError)):
        scene.run(InvokeEndpointOperator, endpoint_name=scene.endpoint, body={}, target_variant="other")


@path_of("EndpointInServiceSensor")
def a_sensor(scene: Scene) -> None:
    scene.make_endpoint()
    scene.run(EndpointInServiceSensor, endpoint_name=scene.endpoint, poke_interval=0.1, deferrable=False)


@path_of("EndpointTrigger")
def triggers_of_one_triggerer(scene: Scene) -> None:
    from airflow_sm_hosting.triggers.endpoint import EndpointTrigger

    config = scene.make_config()
    names = [scene.make_endpoint(config, suffix) for suffix in ("", "-2", "-3", "-4")]

    async def sighting(name: str) -> dict[str, Any]:
        now = time.time()
        trigger = EndpointTrigger(
            awaited={"until": "in_service", "endpoint_name": name},
            deadline=now + 60,
            started_at=now,
            # So seldom that a list for all of them is the way with the fewest calls.
            poll_interval=1,
        )
        event = await anext(aiter(trigger.run()))
        found: dict[str, Any] = event.payload["sighting"]
        return found

    async def together() -> list[dict[str, Any]]:
        return await asyncio.gather(*map(sighting, names))

    ends = asyncio.run(together())
    assert [end["outcome"] for end in ends] == ["deployed"] * len(names), ends


# Autoscaling and alarms


def configure(scene: Scene, **options: Any) -> Ran:
    return scene.run(
        ConfigureAutoscalingOperator,
        endpoint_name=scene.endpoint,
        variant_name="main",
        max_capacity=4,
        **options,
    )


@path_of("ConfigureAutoscalingOperator")
def scaling_that_comes_and_goes(scene: Scene) -> None:
    iam = scene.aws.client("iam")
    with suppress(iam.exceptions.NoSuchEntityException):
        iam.delete_role(RoleName=SCALING_ROLE)
    scene.make_endpoint()
    action = ScheduledScaling(scheduled_action_name="night", schedule="cron(0 22 * * ? *)", min_capacity=1)
    with gaps_filled(autoscaling_client()):
        configure(
            scene, policies=[InvocationsScaling(max_requests_per_second=10)], scheduled_actions=[action]
        )
        configure(scene)


@path_of("RemoveAutoscalingOperator")
def scaling_that_goes(scene: Scene) -> None:
    scene.make_endpoint()
    with gaps_filled(autoscaling_client()):
        scene.scale()
        options = {"endpoint_name": scene.endpoint, "variant_name": "main", "adopt": True}
        scene.run(RemoveAutoscalingOperator, **options)
        scene.run(RemoveAutoscalingOperator, **options)


@path_of("CreateEndpointAlarmOperator")
def an_alarm_and_its_tags_later(scene: Scene) -> None:
    # A metric that is looked for on the instance type.
    alarm(scene, CreateEndpointAlarmOperator, metric=EndpointMetric.gpu_utilization(), threshold=90)


@path_of("CreateLatencyAlarmOperator")
def an_alarm_on_latency_and_its_tags_later(scene: Scene) -> None:
    alarm(scene, CreateLatencyAlarmOperator, threshold=100_000)


def alarm(scene: Scene, operator: type, **options: Any) -> None:
    if scene.endpoint not in scene._endpoints:
        scene.make_endpoint(scene.make_config(InstanceType="ml.g5.xlarge"))
    options = {
        "endpoint_name": scene.endpoint,
        "variant_name": "main",
        "evaluation_periods": 1,
        "alarm_name": scene.alarm,
        **options,
    }
    scene.run(operator, **options)
    scene.run(operator, **options, tags={"a": "b"})


@path_of("CreateCompositeAlarmOperator")
def a_composite_alarm_and_its_tags_later(scene: Scene) -> None:
    scene.aws.client("cloudwatch").put_metric_alarm(
        AlarmName=f"{scene.alarm}-metric",
        Namespace="n",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    options: dict[str, Any] = {
        "alarm_name": scene.alarm,
        "alarm_rule": AlarmRule.alarm(f"{scene.alarm}-metric"),
    }
    scene.run(CreateCompositeAlarmOperator, **options)
    scene.run(CreateCompositeAlarmOperator, **options, tags={"a": "b"})


@path_of("get_metric")
def the_values_of_a_metric(scene: Scene) -> None:
    assert get_metric(EndpointMetric.invocations(), endpoint_name="e", variant_name="main", lookback=60) == []


# Roles


@path_of("EnsureExecutionRoleOperator")
def a_role_that_is_not_there(scene: Scene) -> None:
    options: dict[str, Any] = {"role_name": scene.role, "model_data": ["s3://models/churn/"]}
    assert scene.run(EnsureExecutionRoleOperator, **options).details["created"]
    assert scene.run(EnsureExecutionRoleOperator, **options).details["written"] == []


@path_of("EnsureExecutionRoleOperator")
def a_role_that_lacks_something(scene: Scene) -> None:
    scene.make_role()
    scene.run(
        EnsureExecutionRoleOperator,
        role_name=scene.role,
        model_data=["s3://models/churn/"],
        permissions_boundary="arn:aws:iam::123456789012:policy/bound",
        tags={"a": "b"},
    )


# The proof


class Ended(NamedTuple):
    """How a path ended under a policy.

    :param error: What it raised.
    :param asked: The actions that were looked for.
    :param denied: Those that were not allowed.
    """

    error: BaseException | None
    asked: set[str]
    denied: set[str]


class Proof:
    """Runs paths under a worker that has exactly a policy.

    :param aws: The local AWS.
    :param worker: The user that the tasks run as.
    :param folder: A folder for what they need.
    """

    def __init__(self, aws: LocalAws, worker: Worker, folder: Path) -> None:
        self.aws = aws
        self._worker = worker
        self._folder = folder

    @cached_property
    def lacks_tags_of_targets(self) -> bool:
        """Whether the local AWS knows no tags of scalable targets yet."""
        return not _none(autoscaling_client())

    @cached_property
    def lacks_composite_alarms(self) -> bool:
        """Whether the local AWS knows no composite alarms yet."""
        try:
            self.aws.client("cloudwatch").put_composite_alarm(AlarmName="probe", AlarmRule="FALSE")
        except BotoCoreError:  # moto closes the connection
            return True
        return False

    def run(self, operator: str, path: PathOf, *, without: str | None = None) -> Ended:
        """Run a path under the documented policy of an operator, less one of its actions."""
        scene = Scene(self.aws, self._folder)
        document = policies.worker([operator], **scene.names())
        for statement in document["Statement"]:
            statement["Action"] = [action for action in statement["Action"] if action != without]
        document["Statement"] = [statement for statement in document["Statement"] if statement["Action"]]
        self._worker.allow(*([document] if document["Statement"] else []))
        self.aws.enforce_iam()
        error: BaseException | None = None
        try:
            with DAG(task_id("dag"), schedule=None):
                path(scene)
        except (Exception, pytest.fail.Exception) as raised:
            error = raised
        decisions = self.aws.iam_decisions()
        self.aws.enforce_iam(False)
        scene.close()
        return Ended(
            error,
            {one["action"] for one in decisions},
            {one["action"] for one in decisions if not one["allowed"]},
        )


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proof]:
    aws = local_server()
    aws.reset()
    aws.client("s3").create_bucket(Bucket="models")
    worker = Worker(aws)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(worker.connection()))
        # Parts of 5 MiB, S3's least, in place of 64.
        part = 5 * 1024 * 1024
        patch.setattr(upload, "_TRANSFER", TransferConfig(multipart_threshold=part, multipart_chunksize=part))
        with _quick(aws):
            yield Proof(aws, worker, tmp_path_factory.mktemp("paths"))


def test_every_operator_sensor_and_trigger_has_its_permissions_and_its_paths() -> None:
    info = get_provider_info()
    named = {
        name
        for kind in ("operators", "sensors", "triggers")
        for entry in info[kind]
        for module in entry["python-modules"]
        for name, found in vars(importlib.import_module(module)).items()
        if isinstance(found, type)
        and found.__module__ == module
        and name.endswith(("Operator", "Sensor", "Trigger"))
    }
    assert named | {"get_metric"} == set(policies.PERMISSIONS) == set(PATHS)


@pytest.mark.parametrize("operator", policies.PERMISSIONS)
def test_the_documented_policy_is_enough_and_each_permission_is_needed(proof: Proof, operator: str) -> None:
    documented = {
        action: permission.optional
        for permission in policies.PERMISSIONS[operator]
        for action in permission.actions
    }
    if operator == "CreateCompositeAlarmOperator" and proof.lacks_composite_alarms:
        pytest.xfail("the local AWS has no composite alarms yet")
    used_by: dict[str, PathOf] = {}
    for path in PATHS[operator]:
        ended = proof.run(operator, path)
        assert ended.denied == set(), f"{path.__name__}: {ended.error}"
        if ended.error:
            raise ended.error
        for action in ended.asked:
            used_by.setdefault(action, path)
    print(f"\n{operator}: all {len(documented)} permissions together are enough")

    # Taken from the local AWS's own record: what the paths asked for is what is documented.
    gaps = TAGS_OF_TARGETS & documented.keys()
    if gaps and not proof.lacks_tags_of_targets:
        gaps = set()
    assert set(used_by) | gaps == set(documented)
    for action, optional in documented.items():
        if action in gaps:
            print(f"  {action}: not shown, the local AWS has no tags of scalable targets yet")
            continue
        ended = proof.run(operator, used_by[action], without=action)
        assert action in ended.denied, ended
        assert (ended.error is None) == optional, (action, ended.error)
        print(f"  {action}: {'optional' if optional else 'necessary'} ({used_by[action].__name__})")
