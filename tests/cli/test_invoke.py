"""``sm-hosting endpoint invoke``, on a container that really answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import in_a_process
from tests.local.conftest import Deployer
from tests.local_servers import local_server


@pytest.fixture(scope="module")
def endpoint() -> tuple[Deployer, str]:
    aws = local_server("process")
    aws.reset()
    deployer = Deployer(aws)
    model = deployer.model(Image=deployer.push_image())
    name = deployer.endpoint(deployer.config(deployer.variant(model)))
    assert deployer.describe(name)["EndpointStatus"] == "InService"
    return deployer, name


def test_the_body_comes_from_the_argument_a_file_or_standard_input(
    endpoint: tuple[Deployer, str], tmp_path: Path
) -> None:
    deployer, name = endpoint
    aws = deployer.aws
    file = tmp_path / "body.json"
    file.write_text('{"x": 1}')
    said = []
    for arguments, given in (
        (('{"x": 1}',), None),
        ((f"@{file}",), None),
        (("-",), '{"x": 1}'),
        ((), '{"x": 1}'),
    ):
        stdin = {} if given is None else {"input": given, "stdin": None}
        done = in_a_process("endpoint", "invoke", name, *arguments, "--json", aws=aws, **stdin)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        said.append({**json.loads(done.stdout), "milliseconds": None})
    assert said == [said[0]] * 4
    assert said[0]["body"]


def test_the_answer_is_printed_as_it_is(endpoint: tuple[Deployer, str]) -> None:
    deployer, name = endpoint
    aws = deployer.aws
    arguments = ("endpoint", "invoke", name, "x", "--content-type", "text/plain")
    printed = in_a_process(*arguments, aws=aws).stdout
    assert printed == json.loads(in_a_process(*arguments, "--json", aws=aws).stdout)["body"]


def test_a_variant_that_does_not_exist_is_1(endpoint: tuple[Deployer, str]) -> None:
    deployer, name = endpoint
    aws = deployer.aws
    done = in_a_process("endpoint", "invoke", name, "x", "--variant", "absent", aws=aws)
    assert (done.returncode, done.stdout) == (1, "")
    assert "absent" in done.stderr


def test_a_body_that_cannot_be_read_is_2(endpoint: tuple[Deployer, str]) -> None:
    deployer, name = endpoint
    aws = deployer.aws
    assert in_a_process("endpoint", "invoke", name, "@absent", aws=aws).returncode == 2


def test_a_stream_is_printed_and_an_asynchronous_request_tells_where_its_answer_will_be(
    endpoint: tuple[Deployer, str],
) -> None:
    deployer, name = endpoint
    aws = deployer.aws
    streamed = in_a_process("endpoint", "invoke", name, "x", "--kind", "streamed", "--json", aws=aws)
    assert json.loads(json.loads(streamed.stdout)["body"])["body"] == "x"

    aws.client("s3").create_bucket(Bucket="answers")
    model = deployer.model(Image=deployer.push_image())
    output = {"OutputConfig": {"S3OutputPath": "s3://answers/"}}
    queued = deployer.endpoint(deployer.config(deployer.variant(model), AsyncInferenceConfig=output))
    assert deployer.describe(queued)["EndpointStatus"] == "InService"
    arguments = ("endpoint", "invoke", queued, "x", "--kind", "asynchronous")
    done = in_a_process(*arguments, "--json", aws=aws)
    assert json.loads(done.stdout)["output_location"].startswith("s3://answers/"), done.stderr
    assert in_a_process(*arguments, aws=aws).stdout.startswith("s3://answers/")
