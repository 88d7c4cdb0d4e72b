"""The command line: what it prints, its exit codes, and that nothing of it stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest

from airflow_sm_hosting import cli
from airflow_sm_hosting.container_check.engine import FOLDER_LABEL, HOST_LABEL, CheckEngine
from airflow_sm_hosting.exceptions import ContainerCheckError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.work_folder import is_in_use, work_folder
from tests.container_check.conftest import BIND, ENTRYPOINT, SERVING, Build, check
from tests.local.conftest import tar_bytes, wait_until
from tests.local_servers import local_server

COMMAND = [sys.executable, "-m", "airflow_sm_hosting.cli", "check-container"]


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    try:
        code = cli.main(["check-container", *map(str, arguments)])
    except SystemExit as ended:
        code = int(ended.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "IMAGE|FOLDER"),
        (["churn", "--request", "absent.json"], "absent.json cannot be read"),
        (["churn", "--instance-type", "m5.large"], "--instance-type is 'm5.large'"),
        (["churn", "--instance-type", "ml.m5.large", "--serverless", "1024"], "not both"),
        (["churn", "--serverless", "1000"], "invalid choice"),
        (["churn", "--multi-model"], "--multi-model needs --model"),
        (["churn", "--memory", "0"], "--memory is 0"),
        (["churn", "--env", "=x"], "--env is ''"),
        (["churn", "--env", "SM_HOSTING_NOT_SET"], "--env is 'SM_HOSTING_NOT_SET'"),
        (["churn", "--startup-timeout", "soon"], "not a duration"),
        (["churn", "--model", "absent-folder"], "absent-folder does not exist"),
    ],
)
def test_wrong_usage_is_2(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_a_folder_without_a_dockerfile_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, tmp_path)
    assert code == 2
    assert "Dockerfile does not exist" in err


@pytest.mark.parametrize("target", ["churn:latest", "folder"])
def test_without_an_engine_nothing_was_checked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    code, _, err = run(capsys, tmp_path if target == "folder" else target)
    assert code == 2
    assert "No Docker Engine answers" in err


@pytest.mark.parametrize(
    ("address", "is_refused"),
    [
        ("https://192.0.2.1:2376", True),
        ("http://127.0.0.1:2375", False),
        ("http+docker://ssh", True),
        ("http+docker://localhost", False),
    ],
)
def test_an_engine_on_another_computer_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str, is_refused: bool
) -> None:
    """Its loopback interface is not this one's; a fake, as there is no second computer."""
    client = SimpleNamespace(ping=bool, close=bool, api=SimpleNamespace(base_url=address))
    monkeypatch.setattr(docker, "from_env", lambda **_: client)
    with pytest.raises(ContainerCheckError, match="is on another computer") if is_refused else nullcontext():
        CheckEngine.connect(tmp_path)


def use(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every client of AWS ask a local AWS."""
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)


@pytest.mark.slow
def test_model_data_that_s3_does_not_have_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = local_server()
    use(aws, monkeypatch)
    for url, words in (
        ("s3://absent/model.tar.gz", "s3://absent/model.tar.gz cannot be read"),
        ("s3://models/prefix/", "There is no model data below s3://models/prefix/"),
    ):
        aws.reset()
        aws.client("s3").create_bucket(Bucket="models")
        code, out, err = run(capsys, "churn", "--model", url)
        assert (code, out) == (2, "")
        assert words in err


def test_it_needs_nothing_of_the_local_aws() -> None:
    script = (
        "import sys\nfor name in ('moto', 'flask', 'filelock', 'platformdirs'): sys.modules[name] = None\n"
        "from airflow_sm_hosting.cli import main\n"
        "code = main(['check-container', 'churn', '--memory', '0'])\n"
        "print(code, sorted({m.split('.')[0] for m in sys.modules if sys.modules[m]} & {'airflow', 'boto3', 'docker', 'moto'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "2 []\n"


def test_a_folder_is_in_use_as_long_as_its_check_lives(tmp_path: Path) -> None:
    with work_folder() as folder:
        assert is_in_use(folder)
    assert not is_in_use(folder)
    assert not is_in_use(tmp_path)
    (tmp_path / "file").touch()
    assert not is_in_use(tmp_path / "file")


@pytest.fixture(scope="module")
def good(build: Build) -> str:
    return build(ENTRYPOINT, BIND)


@pytest.mark.engine
class TestEngine:
    @pytest.fixture(autouse=True)
    def temporary(
        self, docker_client: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Path]:
        """The folder of temporary folders, of this test alone; in the end nothing of a check in it is left."""
        folder = tmp_path / "temporary"
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        monkeypatch.setenv("TMPDIR", str(folder))
        yield folder
        assert left(docker_client, folder) == []

    def test_a_good_container_is_0(
        self, capsys: pytest.CaptureFixture[str], good: str, tmp_path: Path
    ) -> None:
        (tmp_path / "request.json").write_text('{"body": "x", "expect": {"got": "x"}}')
        code, out, err = run(
            capsys, good, "--request", tmp_path / "request.json", "--instance-type", "ml.m5.large"
        )
        assert (code, err) == (0, "")
        assert out.splitlines()[0].split()[:2] == ["check", "result"]
        assert out.splitlines()[-1].startswith(f"{good}: 9 checks passed")

    def test_a_bad_container_is_1_and_the_json_says_why(
        self, capsys: pytest.CaptureFixture[str], build: Build
    ) -> None:
        image = build("ENV FAULT=ping-404", ENTRYPOINT)
        code, out, _ = run(capsys, image, "--startup-timeout", "1s", "--json")
        report = json.loads(out)
        assert (code, report["passed"]) == (1, False)
        (ping,) = (row for row in report["checks"] if row["result"] == "failed")
        assert (ping["check"], "Add the route" in ping["remedy"]) == ("ping", True)

    def test_variables_come_from_the_command_line_and_from_here(
        self, capsys: pytest.CaptureFixture[str], build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET", "hunter2-hunter2")
        code, out, _ = run(
            capsys, build(ENTRYPOINT), "--env", "FAULT=ping-404", "--env", "SECRET", "--startup-timeout", "5"
        )
        assert code == 1
        assert "the key is ***" in out

    def test_a_folder_is_built_first_and_the_image_of_before_does_not_pile_up(
        self,
        capsys: pytest.CaptureFixture[str],
        docker_client: docker.DockerClient,
        tmp_path: Path,
        debian_base_image: str,
    ) -> None:
        folder = tmp_path / "Check Test"
        folder.mkdir()
        (folder / "serving.py").write_bytes(SERVING.read_bytes())
        dockerfile = f"ARG BASE\nFROM ${{BASE}}\nCOPY serving.py /opt/program/serving.py\n{ENTRYPOINT}\n"
        tag = "sm-hosting-check/check-test:latest"
        try:
            ids = []
            for label in ("one", "two"):
                (folder / "Dockerfile").write_text(f"{dockerfile}LABEL a={label}\n")
                code, out, err = run(capsys, folder, "--build-arg", f"BASE={debian_base_image}")
                assert (code, tag in err, out.splitlines()[-1].startswith(tag)) == (0, True, True)
                ids.append(docker_client.images.get(tag).id)
            assert ids[0] != ids[1]
            with pytest.raises(docker.errors.ImageNotFound):
                docker_client.images.get(ids[0])
        finally:
            docker_client.images.remove(tag, force=True)

    def test_a_folder_that_cannot_be_built_is_1(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, debian_base_image: str
    ) -> None:
        (tmp_path / "Dockerfile").write_text(f"FROM {debian_base_image}\nRUN exit 3\n")
        code, _, err = run(capsys, tmp_path)
        assert code == 1
        assert "could not be built" in err

    def test_an_archive_that_sagemaker_could_not_unpack_is_a_row(
        self, capsys: pytest.CaptureFixture[str], good: str, tmp_path: Path
    ) -> None:
        archive = tmp_path / "model.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.addfile(tarfile.TarInfo("../outside"))
        code, out, _ = run(capsys, good, "--model", archive)
        assert code == 1
        assert "leads out of the folder" in " ".join(out.split())

    def test_model_data_comes_from_s3(
        self, capsys: pytest.CaptureFixture[str], build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        aws = local_server()
        aws.reset()
        use(aws, monkeypatch)
        aws.client("s3").create_bucket(Bucket="models")
        aws.client("s3").put_object(Bucket="models", Key="a.tar.gz", Body=tar_bytes({"model.json": b"{}"}))
        code, out, _ = run(
            capsys, build("ENV FAULT=needs-model", ENTRYPOINT), "--model", "s3://models/a.tar.gz"
        )
        assert code == 0
        assert "unpacked at /opt/ml/model" in out

    @pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
    def test_a_check_that_is_ended_leaves_nothing(
        self,
        docker_client: docker.DockerClient,
        build: Build,
        model: Path,
        good: str,
        temporary: Path,
        sent: signal.Signals,
    ) -> None:
        image = build("ENV FAULT=no-server", ENTRYPOINT)
        process = subprocess.Popen(
            [*COMMAND, image, "--model", str(model)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until(lambda: docker_client.containers.list(filters={"ancestor": image}))
        finally:
            process.send_signal(sent)
            code = process.wait(timeout=30)
        if sent is signal.SIGKILL:
            check(good)
        else:
            assert code == 128 + sent
        assert left(docker_client, temporary) == []

    def test_the_sweep_spares_the_containers_of_others(
        self, docker_client: docker.DockerClient, good: str
    ) -> None:
        """Of a check that lives, and of another computer."""
        with work_folder() as folder:
            spared = [
                docker_client.containers.create(good, labels={FOLDER_LABEL: name, HOST_LABEL: host})
                for name, host in ((str(folder), os.uname().nodename), ("/gone", "another-computer"))
            ]
            try:
                check(good)
                assert {one.id for one in spared} <= {
                    one.id for one in docker_client.containers.list(all=True)
                }
            finally:
                for one in spared:
                    one.remove(force=True)


def left(docker_client: docker.DockerClient, temporary: Path) -> list[Any]:
    """Return the containers, volumes and networks of checks whose folder is in a folder."""
    filters: Any = {"label": f"{HOST_LABEL}={os.uname().nodename}"}
    found: list[tuple[Any, dict[str, str] | None]] = [
        *(
            (one, one.labels)
            for one in docker_client.containers.list(all=True, ignore_removed=True, filters=filters)
        ),
        *((one, one.attrs["Labels"]) for one in docker_client.volumes.list(filters=filters)),
        *((one, one.attrs["Labels"]) for one in docker_client.networks.list(filters=filters)),
    ]
    return [one for one, labels in found if (labels or {}).get(FOLDER_LABEL, "").startswith(f"{temporary}/")]
