"""``sm-hosting endpoint invoke``, on a container that really answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.cli.conftest import in_a_process
from tests.local.conftest import Deployer
from tests.local_servers import local_server


@pytest.fixture(scope="module")
def endpoint() -> tuple[LocalAws, str]:
    aws = local_server("process")
    aws.reset()
    deployer = Deployer(aws)
    model = deployer.model(Image=deployer.push_image())
    name = deployer.endpoint(deployer.config(deployer.variant(model)))
    assert deployer.describe(name)["EndpointStatus"] == "InService"
    return aws, name


def test_the_body_comes_from_the_argument_a_file_or_standard_input(
    endpoint: tuple[LocalAws, str], tmp_path: Path
) -> None:
    aws, name = endpoint
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


def test_the_answer_is_printed_as_it_is(endpoint: tuple[LocalAws, str]) -> None:
    aws, name = endpoint
    arguments = ("endpoint", "invoke", name, "x", "--content-type", "text/plain")
    printed = in_a_process(*arguments, aws=aws).stdout
    assert printed == json.loads(in_a_process(*arguments, "--json", aws=aws).stdout)["body"]


def test_a_variant_that_does_not_exist_is_1(endpoint: tuple[LocalAws, str]) -> None:
    aws, name = endpoint
    done = in_a_process("endpoint", "invoke", name, "x", "--variant", "absent", aws=aws)
    assert (done.returncode, done.stdout) == (1, "")
    assert "absent" in done.stderr


def test_a_body_that_cannot_be_read_is_2(endpoint: tuple[LocalAws, str]) -> None:
    aws, name = endpoint
    assert in_a_process("endpoint", "invoke", name, "@absent", aws=aws).returncode == 2
