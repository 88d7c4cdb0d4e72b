"""BuildImageOperator with CodeBuild: on the Docker engine builds really run; without an engine the local AWS answers with faults."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import pytest
from airflow.sdk import DAG
from botocore.exceptions import EndpointConnectionError

from airflow_sm_hosting import (
    BuildImageOperator,
    ContainerDefinition,
    ContainerImage,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    DeployEndpointOperator,
    InstanceProductionVariant,
    InvokeEndpointOperator,
    ModelHostingTaskGroup,
    policies,
)
from airflow_sm_hosting.exceptions import ConflictError, ImageBuildError, InvalidSpecError
from airflow_sm_hosting.guarded_task import TaskKilledError
from airflow_sm_hosting.hooks import CodeBuildHook
from airflow_sm_hosting.images.codebuild.request import IMAGE
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import MANAGED_BY
from tests.local.conftest import SERVING
from tests.local_servers import local_server
from tests.operators.conftest import (
    Ran,
    _emptied,
    answering,
    event_hook,
    operations,
    outcome,
    refusal,
    run_task,
    task_id,
)

ROLE = "arn:aws:iam::123456789012:role/builds"
PROJECT = "sm-hosting-amd64"
#: A build of seconds, and a machine that is busy.
engine = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(300)]


def build(folder: Path, settings: dict[str, Any] | None = None, **options: Any) -> BuildImageOperator:
    return BuildImageOperator(
        **{
            "task_id": task_id("build"),
            "directory": str(folder),
            "repository_name": "team/churn",
            "builder": "codebuild",
            "codebuild": {"service_role": ROLE, "bucket_name": "builds", **(settings or {})},
            "poll_interval": 0.1,
            "deferrable": False,
            **options,
        }
    )


def builds(aws: LocalAws, project: str = PROJECT) -> list[dict[str, Any]]:
    """Return the builds of a project, newest first."""
    client = aws.client("codebuild")
    ids = client.list_builds_for_project(projectName=project)["ids"]
    return list(client.batch_get_builds(ids=ids)["builds"]) if ids else []


def project_of(aws: LocalAws, name: str = PROJECT) -> dict[str, Any]:
    (found,) = aws.client("codebuild").batch_get_projects(names=[name])["projects"]
    return dict(found)


# Without an engine: what is asked of AWS, and in which order


@pytest.fixture
def bucket(aws: LocalAws) -> LocalAws:
    aws.client("s3").create_bucket(Bucket="builds")
    aws.clear_requests()
    return aws


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    return folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"codebuild": None},
            "builder is 'codebuild', but codebuild is not given.*service_role and bucket_name",
        ),
        ({"codebuild": {"bucket_name": "builds"}}, r"codebuild lacks service_role"),
        ({"settings": {"timeout": 1}}, r"codebuild\[timeout\]"),
        ({"codebuild": "x"}, "codebuild is a str; allowed: a dict with service_role"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"builder": "codebild"}, "Did you mean 'codebuild'"),
        ({"secrets": {"a": "1"}}, r"secrets is given.*does not support.*Give codebuild\['secrets'\]"),
        (
            {"build_contexts": {"a": "/b"}},
            "build_contexts is given, which builder 'codebuild' does not support",
        ),
        ({"cache_to": ["a:1"]}, "cache_to is given, which builder 'codebuild' does not support"),
    ],
)
def test_what_cannot_work_breaks_the_dag_file(plain: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        build(plain, **options)


def test_settings_are_rendered_and_checked(bucket: LocalAws, dag: DAG, plain: Path) -> None:
    settings = {
        "service_role": "{{ 'arn:aws:iam::123456789012:role/' ~ params.role }}",
        "timeout": "{{ 600 }}",
        "kms_key_id": "{{ none }}",
        "project_name": "{{ 'team' }}",
    }
    task = build(plain, settings)
    assert outcome(task, params={"role": "builds"}).error
    found = project_of(bucket, "team")
    assert (found["serviceRole"], found["timeoutInMinutes"]) == (ROLE, 10)
    bad = outcome(build(plain, {"timeout": "{{ 'x' }}"}))
    assert isinstance(bad.error, InvalidSpecError)


def test_a_dag_may_give_builder_and_settings_to_all_its_tasks(plain: Path) -> None:
    defaults: dict[str, Any] = {
        "builder": "codebuild",
        "codebuild": {"service_role": ROLE, "bucket_name": "{{ 'builds' }}"},
    }
    with DAG("defaults", schedule=None, default_args=defaults):
        one = BuildImageOperator(task_id="image", directory=str(plain), repository_name="a")
        group = ModelHostingTaskGroup(
            repository_name="a",
            endpoint_name="churn",
            models={"churn": [ContainerDefinition(image=ContainerImage.from_asset(str(plain)))]},
            production_variants=[
                InstanceProductionVariant(
                    variant_name="main", model_name="churn", instance_type="ml.m5.large"
                )
            ],
        )
    made = [one, *(task for task in group.children.values() if isinstance(task, BuildImageOperator))]
    assert len(made) == 2
    for task in made:
        assert (task.builder, task.codebuild) == (defaults["builder"], defaults["codebuild"])


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_reason_of_a_fault_is_told(bucket: LocalAws, dag: DAG, plain: Path, deferrable: bool) -> None:
    ended = outcome(build(plain, deferrable=deferrable))
    assert isinstance(ended.error, ImageBuildError)
    [made] = builds(bucket)
    assert str(ended.error) == (
        f"The build {made['id']} ended with FAULT (CodeBuild itself failed): phase PROVISIONING: INTERNAL_ERROR: The local AWS runs with "
        "engine 'none', and builds need a Docker engine: start it with engine 'docker'."
    )
    assert ended.ran.deferrals == int(deferrable)
    assert ended.ran.xcoms == {}


def test_a_first_build_asks_for_no_more_than_it_needs(bucket: LocalAws, dag: DAG, plain: Path) -> None:
    outcome(build(plain))
    changing = operations(bucket, mutating=True)
    assert changing == ["CreateRepository", "CreateProject", "PutObject", "StartBuild"]
    assert "ListBuildsForProject" not in operations(bucket)
    tags = {tag["key"]: tag["value"] for tag in project_of(bucket)["tags"]}
    assert MANAGED_BY in tags


def test_after_a_failure_another_build_of_the_same_context_is_started(
    bucket: LocalAws, dag: DAG, plain: Path
) -> None:
    """Within the five minutes of the token, too: the token of a failed build would return that one."""
    outcome(build(plain))
    bucket.clear_requests()
    outcome(build(plain))
    assert operations(bucket, mutating=True) == ["StartBuild"]
    assert len(builds(bucket)) == 2


def test_a_project_of_ours_is_updated_where_it_differs(bucket: LocalAws, dag: DAG, plain: Path) -> None:
    outcome(build(plain))
    outcome(build(plain, {"compute_type": "BUILD_GENERAL1_LARGE", "timeout": 700}))
    found = project_of(bucket)
    assert (found["environment"]["computeType"], found["timeoutInMinutes"]) == ("BUILD_GENERAL1_LARGE", 12)
    assert len(found["tags"]) == 1
    bucket.clear_requests()
    outcome(build(plain, {"compute_type": "BUILD_GENERAL1_LARGE", "timeout": 700}))
    assert "UpdateProject" not in operations(bucket)


def make_foreign_project(aws: LocalAws, **environment: Any) -> None:
    aws.client("codebuild").create_project(
        name=PROJECT,
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2\nphases: {build: {commands: [exit 1]}}"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "privilegedMode": True,
            **environment,
        },
        serviceRole=ROLE,
    )


def test_a_project_of_others_is_used_as_it_is(bucket: LocalAws, dag: DAG, plain: Path) -> None:
    make_foreign_project(bucket)
    before = project_of(bucket)
    outcome(build(plain))
    assert project_of(bucket) == before
    assert builds(bucket)[0]["environment"]["image"] == "aws/codebuild/standard:7.0"


def test_a_project_of_others_that_cannot_build_is_a_conflict(bucket: LocalAws, dag: DAG, plain: Path) -> None:
    make_foreign_project(bucket, privilegedMode=False)
    ended = outcome(build(plain))
    assert isinstance(ended.error, ConflictError)
    assert "StartBuild" not in operations(bucket)


def test_a_project_that_another_task_makes_meanwhile_is_used(bucket: LocalAws, dag: DAG, plain: Path) -> None:
    outcome(build(plain))
    with answering(CodeBuildHook().conn, "BatchGetProjects", (_ok(), {"projects": []})):
        assert isinstance(outcome(build(plain)).error, ImageBuildError)
    assert len(builds(bucket)) == 2


def _ok() -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(status_code=200, headers={}, content=b"")


@pytest.mark.parametrize("deferrable", [False, True])
def test_throttling_and_rotated_credentials_end_no_wait(
    bucket: LocalAws, dag: DAG, plain: Path, deferrable: bool
) -> None:
    passing = [
        refusal("ThrottlingException"),
        refusal("InternalServerError", status=500),
        refusal("ExpiredTokenException"),
    ]
    with answering(CodeBuildHook().conn, "BatchGetBuilds", *passing) as left:
        ended = outcome(build(plain, deferrable=deferrable))
    assert left == []
    assert "ended with FAULT" in str(ended.error)


def test_a_log_that_is_throttled_is_read_later(
    bucket: LocalAws, dag: DAG, plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unreachable = EndpointConnectionError(endpoint_url="http://logs")
    with answering(CodeBuildHook().client("logs"), "GetLogEvents", unreachable) as left:
        ended = outcome(build(plain))
    assert left == []
    assert "ended with FAULT" in str(ended.error)
    shown = capsys.readouterr()
    assert "cannot be read" not in shown.out + shown.err


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_refused_look_ends_both_waits_in_the_same_words(
    bucket: LocalAws, dag: DAG, plain: Path, deferrable: bool
) -> None:
    denied = refusal("AccessDeniedException", "not allowed")
    with answering(CodeBuildHook().conn, "BatchGetBuilds", denied, denied):
        ended = outcome(build(plain, deferrable=deferrable))
    assert isinstance(ended.error, ImageBuildError)
    assert str(ended.error) == (
        "The build cannot be looked at: ClientError: An error occurred (AccessDeniedException) when calling the BatchGetBuilds "
        "operation: not allowed. It continues; run the task again to join it."
    )


def test_a_log_that_cannot_be_read_is_a_warning(
    bucket: LocalAws, dag: DAG, plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = refusal("AccessDeniedException")
    with answering(CodeBuildHook().client("logs"), "GetLogEvents", *[denied] * 9):
        ended = outcome(build(plain))
    assert "ended with FAULT" in str(ended.error)
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count("The log of the build cannot be read") == 1


def test_a_role_that_was_just_made_is_waited_for(
    bucket: LocalAws, dag: DAG, plain: Path, short_pauses: None
) -> None:
    """hashicorp/terraform-provider-aws#4233"""
    unseen = refusal(
        "InvalidInputException", f"CodeBuild is not authorized to perform: sts:AssumeRole on {ROLE}"
    )
    with answering(CodeBuildHook().conn, "CreateProject", unseen, unseen) as left:
        ended = outcome(build(plain))
    assert left == []
    assert "ended with FAULT" in str(ended.error)


def test_what_aws_would_refuse_is_an_error_before_the_first_call(
    bucket: LocalAws, dag: DAG, plain: Path
) -> None:
    ended = outcome(build(plain, {"project_name": "{{ 'a.b' }}"}))
    assert isinstance(ended.error, InvalidSpecError)
    ended = outcome(
        build(plain, {"vpc_config": {"vpcId": "", "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}})
    )
    assert isinstance(ended.error, InvalidSpecError)
    assert operations(bucket) == []


def test_a_killed_task_says_that_its_build_continues(
    dag: DAG, plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(plain).on_kill()
    shown = capsys.readouterr()
    assert "a build by CodeBuild that it has started continues" in shown.out + shown.err
    build(plain, builder="assembler").on_kill()
    assert "CodeBuild" not in "".join(capsys.readouterr())


def test_other_builders_wait_in_the_worker(bucket: LocalAws, dag: DAG, plain: Path) -> None:
    (plain / "serve.py").write_text("1")
    (plain / "Dockerfile").write_text("FROM scratch\nCOPY serve.py /\n")
    ran = run_task(build(plain, builder="assembler", deferrable=True))
    assert (ran.deferrals, ran.details["built"], "build_id" in ran.details) == (0, True, False)
    assert [one for one in operations(bucket) if "Build" in one or "Project" in one] == []


# On the engine


@pytest.fixture
def docker_aws(
    monkeypatch: pytest.MonkeyPatch, debian_base_image: str, docker_client: docker.DockerClient
) -> Iterator[LocalAws]:
    aws = _emptied(local_server("docker"), monkeypatch)
    aws.client("s3").create_bucket(Bucket="builds")
    yield aws
    # A build of AWS has a daemon of its own; here its images stay in the engine.
    aws.reset()  # the containers of endpoints are gone
    host = aws.endpoint_url.removeprefix("http://")
    for image in docker_client.images.list(f"{host}/team/churn"):
        for tag in image.tags:
            docker_client.images.remove(tag)


@pytest.fixture
def folder(tmp_path: Path, debian_base_image: str) -> Path:
    path = tmp_path / "app"
    path.mkdir()
    shutil.copy(SERVING, path / "serve.py")
    (path / "Dockerfile").write_text(
        f'FROM {debian_base_image}\nARG TOKEN=none\nCOPY serve.py /opt/\nRUN echo "made with $TOKEN"\n'
        'ENTRYPOINT ["python3", "/opt/serve.py"]\n'
    )
    return path


class TestOnTheEngine:
    """Builds that really run."""

    pytestmark = engine

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_an_image_is_built_once_and_serves(
        self,
        docker_aws: LocalAws,
        dag: DAG,
        folder: Path,
        deferrable: bool,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        ran = run_task(build(folder, deferrable=deferrable, image_tag="live"))
        [image] = docker_aws.client("ecr").describe_images(repositoryName="team/churn")["imageDetails"]
        assert ran.value.endswith(f"/team/churn@{image['imageDigest']}")
        assert image["imageManifestMediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
        assert sorted(image["imageTags"]) == sorted(ran.details["tags"])
        assert (ran.details["built"], ran.deferrals) == (True, int(deferrable))
        assert [made["id"] for made in builds(docker_aws)] == [ran.details["build_id"]]
        # The log of the build is in that of the task, each line once.
        shown = capsys.readouterr()
        assert (shown.out + shown.err).count("Phase complete: BUILD State: SUCCEEDED") == 1

        docker_aws.clear_requests()
        again = run_task(build(folder, deferrable=deferrable, image_tag="live"))
        assert (again.value, again.details["built"], again.deferrals) == (ran.value, False, 0)
        assert operations(docker_aws, mutating=True) == []

        if not deferrable:
            self._serve(ran.value)

    def _serve(self, image: str) -> None:
        model = run_task(
            CreateModelOperator(
                task_id=task_id("model"),
                model_name="churn",
                containers=[ContainerDefinition(image=image)],
                execution_role="arn:aws:iam::123456789012:role/sagemaker",
            )
        ).value
        config = run_task(
            CreateEndpointConfigOperator(
                task_id=task_id("config"),
                endpoint_config_name="churn",
                production_variants=[
                    InstanceProductionVariant(
                        variant_name="main", model_name=model, instance_type="ml.m5.large"
                    )
                ],
            )
        ).value
        run_task(
            DeployEndpointOperator(
                task_id=task_id("deploy"),
                endpoint_name="churn",
                endpoint_config_name=config,
                poll_interval=0.2,
                deferrable=False,
            )
        )
        run_task(
            InvokeEndpointOperator(
                task_id=task_id("invoke"),
                endpoint_name="churn",
                body={"a": 1},
                content_type="application/json",
            )
        )

    def test_a_failed_run_is_told_with_the_last_lines_in_both_waits(
        self, docker_aws: LocalAws, dag: DAG, folder: Path
    ) -> None:
        with (folder / "Dockerfile").open("a") as file:
            file.write("RUN echo 'the compiler is missing' && exit 7\n")
        ends = [outcome(build(folder, deferrable=deferrable)) for deferrable in (False, True)]
        texts = []
        for ended, made in zip(ends, reversed(builds(docker_aws)), strict=True):
            assert isinstance(ended.error, ImageBuildError)
            text = str(ended.error)
            assert text.startswith(
                f"The build {made['id']} ended with FAILED: phase BUILD: COMMAND_EXECUTION_ERROR: Error while executing command: docker build"
            )
            assert "the compiler is missing" in text.partition("The last lines of the log:")[2]
            assert "exit code: 7" in text
            texts.append(text.partition(". Reason")[0].replace(made["id"], "it"))
        assert texts[0] == texts[1]
        assert docker_aws.client("ecr").describe_images(repositoryName="team/churn")["imageDetails"] == []

    @pytest.mark.parametrize(
        ("operation", "moment"),
        [
            ("CreateProject", "after-call"),
            ("HeadObject", "after-call"),
            ("StartBuild", "before-call"),
            ("StartBuild", "after-call"),
            ("BatchGetBuilds", "before-call"),
            ("BatchGetBuilds", "after-call"),
        ],
    )
    def test_a_task_killed_at_any_point_builds_nothing_twice(
        self, docker_aws: LocalAws, dag: DAG, folder: Path, operation: str, moment: str
    ) -> None:
        (folder / "content").write_text(f"{operation} {moment}")
        hook = CodeBuildHook()
        client = hook.conn if operation != "HeadObject" else _s3_client()
        killed: list[str] = []

        def kill(**_: Any) -> None:
            if not killed:
                killed.append(operation)
                raise TaskKilledError

        with event_hook(client, f"{moment}.*.{operation}", kill), pytest.raises(TaskKilledError):
            run_task(build(folder))
        assert killed
        ran = run_task(build(folder))
        made = builds(docker_aws)
        assert [one["buildStatus"] for one in made] == ["SUCCEEDED"]
        assert ran.details["built"]
        objects = docker_aws.client("s3").list_objects_v2(Bucket="builds")["Contents"]
        assert len(objects) == 1

    def test_a_list_that_lags_does_not_lead_to_a_second_build(
        self, docker_aws: LocalAws, dag: DAG, folder: Path
    ) -> None:
        """The token of StartBuild leads to the build that the list does not show yet."""

        def kill(**_: Any) -> None:
            raise TaskKilledError

        client = CodeBuildHook().conn
        with event_hook(client, "after-call.*.StartBuild", kill), suppress(TaskKilledError):
            run_task(build(folder))
        with answering(client, "ListBuildsForProject", (_ok(), {"ids": []})) as left:
            run_task(build(folder))
        assert left == []
        assert len(builds(docker_aws)) == 1
        assert operations(docker_aws).count("StartBuild") == 2

    def test_two_tasks_of_the_same_content_share_a_build(
        self, docker_aws: LocalAws, dag: DAG, folder: Path
    ) -> None:
        """The second one comes while the build of the first one goes on."""
        inner: list[Ran] = []

        def other_task(**_: Any) -> None:
            if not inner:
                inner.append(Ran())
                run_task(build(folder), ran=inner[0])

        with event_hook(CodeBuildHook().conn, "after-call.*.StartBuild", other_task):
            outer = run_task(build(folder))
        assert outer.value == inner[0].value
        assert len(builds(docker_aws)) == 1

    def test_the_value_of_a_build_argument_is_in_the_image_and_in_no_log(
        self, docker_aws: LocalAws, dag: DAG, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run_task(build(folder, build_args={"TOKEN": "swordfish-1"}))
        shown = capsys.readouterr()
        assert "made with ***" in shown.out + shown.err
        assert "swordfish-1" not in shown.out + shown.err
        [made] = builds(docker_aws)
        names = {one["name"]: one["value"] for one in made["environment"]["environmentVariables"]}
        assert names["SM_HOSTING_BUILD_ARG_0"] == "TOKEN=swordfish-1"
        assert names[IMAGE].rpartition(":")[0].endswith("/team/churn")

    def test_a_secret_is_mounted(self, docker_aws: LocalAws, dag: DAG, folder: Path) -> None:
        docker_aws.client("secretsmanager").create_secret(Name="pip", SecretString="swordfish-2")
        with (folder / "Dockerfile").open("a") as file:
            file.write(
                'RUN --mount=type=secret,id=pip-conf test "$(cat /run/secrets/pip-conf)" = swordfish-2\n'
            )
        secret = {"name": "pip-conf", "type": "SECRETS_MANAGER", "value": "pip"}
        assert run_task(build(folder, {"secrets": [secret]})).details["built"]

    def test_a_base_image_of_another_platform_is_an_error(
        self, docker_aws: LocalAws, dag: DAG, folder: Path
    ) -> None:
        ended = outcome(build(folder, platform="linux/arm64"))
        assert isinstance(ended.error, ImageBuildError)
        assert project_of(docker_aws, "sm-hosting-arm64")["environment"]["type"] == "ARM_CONTAINER"

    @pytest.mark.parametrize("lacking", [None, "ecr:PutImage", "s3:GetObject"])
    def test_the_policy_of_the_service_role_is_what_a_build_needs(
        self, docker_aws: LocalAws, dag: DAG, folder: Path, lacking: str | None
    ) -> None:
        here = {"region_name": docker_aws.region_name, "account_id": docker_aws.account_id}
        document = policies.build_role(
            repositories=["team/churn"], build_contexts=["s3://builds/sm-hosting-builds/"], **here
        )
        for statement in document["Statement"]:
            statement["Action"] = [action for action in statement["Action"] if action != lacking]
        document["Statement"] = [statement for statement in document["Statement"] if statement["Action"]]
        iam = docker_aws.client("iam")
        iam.create_role(RoleName="builds", AssumeRolePolicyDocument=json.dumps(policies.build_trust()))
        iam.put_role_policy(RoleName="builds", PolicyName="builds", PolicyDocument=json.dumps(document))
        docker_aws.enforce_iam()
        try:
            ended = outcome(build(folder, {"service_role": "builds"}))
        finally:
            docker_aws.enforce_iam(False)
        if lacking is None:
            assert ended.error is None, ended.error
        else:
            assert isinstance(ended.error, ImageBuildError)
            assert lacking in str(ended.error)


def _s3_client() -> Any:
    from airflow_sm_hosting.hooks import ModelDataHook

    return ModelDataHook().conn
