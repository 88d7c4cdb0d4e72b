"""Links to the AWS console."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import BaseOperator

import airflow_sm_hosting
from airflow_sm_hosting.links import (
    AlarmLink,
    ArtifactLink,
    ComponentLogsLink,
    ConsoleLink,
    EndpointConfigLink,
    EndpointLink,
    EndpointLogsLink,
    ModelLink,
    RepositoryLink,
)
from airflow_sm_hosting.provider_info import get_provider_info
from tests.operators.conftest import Ran


def pushed(link: ConsoleLink, **options: Any) -> str | None:
    ran = Ran()
    link.persist({"ti": ran}, **{"partition": "aws", "region": "eu-west-1", **options})
    return ran.xcoms.get(link.key)


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "eu-west-1", "eu-west-1.console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_the_console_of_the_partition(partition: str, region: str, host: str) -> None:
    address = pushed(EndpointLink(), partition=partition, region=region, endpoint_name="churn")
    assert address == f"https://{host}/sagemaker/home?region={region}#/endpoints/churn"


def test_an_unknown_partition_has_no_link_and_no_error() -> None:
    """The peer's links are 'console.None' there."""
    assert pushed(EndpointLink(), partition="aws-iso", endpoint_name="churn") is None


def test_names_are_quoted() -> None:
    address = pushed(AlarmLink(), alarm_name="a b/c#d?e&f")
    assert address is not None
    assert urlsplit(address).fragment.startswith("alarmsV2:alarm/")
    assert not set(" #?&") & set(urlsplit(address).fragment)


def test_the_log_group_is_written_as_the_console_writes_it() -> None:
    address = pushed(EndpointLogsLink(), endpoint_name="churn")
    assert address is not None
    assert urlsplit(address).fragment == (
        "logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FEndpoints$252Fchurn"
    )


def test_a_component_has_a_log_group_of_its_own() -> None:
    address = pushed(ComponentLogsLink(), inference_component_name="churn")
    assert address is not None
    assert urlsplit(address).fragment.endswith("$252Faws$252Fsagemaker$252FInferenceComponents$252Fchurn")


def test_a_connection_to_the_local_aws_leads_to_its_page() -> None:
    local = "http://127.0.0.1:4566"
    for partition in ("aws", "aws-iso"):
        address = pushed(EndpointLink(), partition=partition, local_aws=local, endpoint_name="churn")
        assert address == f"{local}/_sm_hosting/ui/endpoints/churn?region=eu-west-1"
    artifact = pushed(ArtifactLink(), local_aws=local, bucket="models", object_key="a/b c.tar.gz")
    assert artifact == f"{local}/_sm_hosting/ui/objects/models/a%2Fb%20c.tar.gz?region=eu-west-1"


@pytest.mark.parametrize(
    ("link", "names", "path"),
    [
        (
            EndpointConfigLink(),
            {"endpoint_config_name": "c"},
            "sagemaker/home?region=eu-west-1#/endpointConfig/c",
        ),
        (ModelLink(), {"model_name": "m"}, "sagemaker/home?region=eu-west-1#/models/m"),
        (
            RepositoryLink(),
            {"registry_id": "1", "repository_name": "r/a"},
            "ecr/repositories/private/1/r%2Fa?region=eu-west-1",
        ),
        (
            ArtifactLink(),
            {"bucket": "b", "object_key": "k/o"},
            "s3/object/b?region=eu-west-1&prefix=k%2Fo",
        ),
    ],
)
def test_each_link_leads_to_the_console(link: ConsoleLink, names: dict[str, str], path: str) -> None:
    assert pushed(link, **names) == f"https://eu-west-1.console.aws.amazon.com/{path}"


def test_every_link_of_an_operator_is_listed_by_the_provider_and_has_a_key_of_its_own() -> None:
    found = [getattr(airflow_sm_hosting, name) for name in airflow_sm_hosting.__all__]
    used = {
        type(link)
        for operator in found
        if isinstance(operator, type) and issubclass(operator, BaseOperator)
        for link in operator.operator_extra_links
        if isinstance(link, ConsoleLink)
    }
    assert set(ConsoleLink.__subclasses__()) == used
    listed = set(get_provider_info()["extra-links"])
    assert listed == {f"{link.__module__}.{link.__qualname__}" for link in used}
    assert len({link.key for link in used}) == len({link.name for link in used}) == len(used)
