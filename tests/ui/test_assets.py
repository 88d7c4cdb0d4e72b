"""Asset events, records and timelines of tasks, sync and deferred, against the local AWS."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import DAG, Asset, AssetAlias

from airflow_sm_hosting import (
    DeleteEndpointOperator,
    DeployEndpointOperator,
    RollbackEndpointOperator,
    ShiftTrafficOperator,
)
from airflow_sm_hosting.endpoint_asset import ALIAS, endpoint_asset
from airflow_sm_hosting.exceptions import SageMakerHostingError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.ui.assets import sanitize_uri
from tests.operators.conftest import (
    Ran,
    make_broken_model,
    make_config,
    make_model,
    run_task,
)

#: Task ids are unique in a DAG.
NUMBERS = itertools.count()

URI = "sagemaker://us-east-1/endpoint/churn"


class OutletEvents(dict[Any, Any]):
    """As Airflow's: accessors by alias."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[tuple[Asset, dict[str, Any]]] = []

    def __getitem__(self, alias: AssetAlias) -> OutletEvents:
        assert alias == AssetAlias(ALIAS)
        return self

    def add(self, asset: Asset, extra: dict[str, Any]) -> None:
        self.added.append((asset, extra))


class Recorded(Ran):
    """What a task left."""

    def __init__(self) -> None:
        super().__init__()
        self.events = OutletEvents()
        self.error: Exception | None = None

    @property
    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = self.xcoms["record"]
        return found


def record(task: Any) -> Recorded:
    ran = Recorded()
    try:
        run_task(task, ran=ran, outlet_events=ran.events)
    except SageMakerHostingError as error:
        ran.error = error
    return ran


@pytest.fixture
def configs(aws: LocalAws) -> LocalAws:
    make_model(aws)
    make_config(aws, "c1")
    make_config(aws, "c2", InitialInstanceCount=2)
    make_config(aws, "bad", make_broken_model(aws))
    return aws


@pytest.fixture(params=[False, True], ids=["sync", "deferred"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def deploy(config: str, deferrable: bool = False) -> DeployEndpointOperator:
    return DeployEndpointOperator(
        task_id=f"deploy_{next(NUMBERS)}",
        endpoint_name="churn",
        endpoint_config_name=config,
        poll_interval=0.1,
        deferrable=deferrable,
    )


def test_a_deployment_emits_an_asset_event_with_its_record(
    configs: LocalAws, dag: DAG, deferrable: bool
) -> None:
    record(deploy("c1"))
    ran = record(deploy("c2", deferrable))
    ((asset, extra),) = ran.events.added
    assert (asset.name, asset.uri) == ("us-east-1/churn", URI)
    assert extra == ran.record
    told = {name: extra[name] for name in ("name", "region", "action", "outcome", "status", "rollback_to")}
    assert told == {
        "name": "churn",
        "region": "us-east-1",
        "action": "update",
        "outcome": "succeeded",
        "status": "InService",
        "rollback_to": "c1",
    }
    assert (extra["previous_endpoint_config_name"], extra["endpoint_config_name"]) == ("c1", "c2")
    (variant,) = extra["variants"]
    assert (variant["name"], variant["weight"], variant["current"], variant["desired"]) == ("main", 1.0, 2, 2)
    assert "@sha256:" in variant["image"]
    assert extra["seconds"] >= 0


def test_a_first_deployment_shows_what_serves(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    found = record(deploy("c1", deferrable)).record
    assert (found["action"], found["status"], found["endpoint_config_name"]) == ("create", "InService", "c1")
    assert found["variants"][0]["current"] == 1
    assert "rollback_to" not in found


def test_a_failed_deployment_emits_no_event_and_leaves_its_reason(
    configs: LocalAws, dag: DAG, deferrable: bool
) -> None:
    record(deploy("c1"))
    ran = record(deploy("bad", deferrable))
    assert ran.error is not None
    assert ran.events.added == []
    found = ran.record
    assert (found["outcome"], found["endpoint_config_name"]) == ("rolled_back", "c1")
    assert found["requested_endpoint_config_name"] == "bad"
    assert found["failure"].startswith("SageMaker rolled endpoint churn back")


def test_an_unchanged_endpoint_emits_no_event(configs: LocalAws, dag: DAG) -> None:
    record(deploy("c1"))
    ran = record(deploy("c1"))
    assert ran.events.added == []
    assert (ran.record["outcome"], ran.record["action"]) == ("unchanged", "unchanged")


def test_a_refused_deployment_leaves_a_record(configs: LocalAws, dag: DAG) -> None:
    configs.client("sagemaker").create_endpoint(EndpointName="churn", EndpointConfigName="c1")
    ran = record(deploy("c2"))
    assert ran.error is not None
    assert (ran.record["outcome"], ran.record["name"]) == ("failed", "churn")
    assert "adopt" in ran.record["failure"]


def test_a_rollback_is_recorded(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    record(deploy("c1"))
    record(deploy("c2"))
    found = record(
        RollbackEndpointOperator(
            task_id="back", endpoint_name="churn", poll_interval=0.1, deferrable=deferrable
        )
    ).record
    assert (found["action"], found["endpoint_config_name"]) == ("rollback", "c1")


def test_a_shift_of_traffic_is_recorded(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    sagemaker = configs.client("sagemaker")
    variants = [
        {"VariantName": name, "ModelName": "model", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        for name in ("blue", "green")
    ]
    sagemaker.create_endpoint_config(EndpointConfigName="ab", ProductionVariants=variants)
    record(deploy("ab"))
    ran = record(
        ShiftTrafficOperator(
            task_id="shift",
            endpoint_name="churn",
            weights={"blue": 7, "green": 3},
            poll_interval=0.1,
            deferrable=deferrable,
        )
    )
    ((asset, extra),) = ran.events.added
    assert (asset.uri, extra["action"]) == (URI, "shift")
    assert {one["name"]: one["weight"] for one in extra["variants"]} == {"blue": 7, "green": 3}


def test_a_deletion_is_recorded_once(configs: LocalAws, dag: DAG) -> None:
    record(deploy("c1"))
    delete = DeleteEndpointOperator(task_id="delete", endpoint_name="churn", poll_interval=0.1)
    ran = record(delete)
    ((_, extra),) = ran.events.added
    assert (extra["action"], extra["status"]) == ("delete", "Deleted")
    again = record(delete)
    assert again.events.added == []
    assert again.record["outcome"] == "unchanged"


def test_the_timeline_shows_each_status_once(configs: LocalAws, dag: DAG) -> None:
    record(deploy("c1"))
    entries = record(deploy("c2")).xcoms["timeline"]
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    assert entries[-1]["status"] == "InService"
    assert entries[-1]["config"] == "c2"
    assert all({**one, "at": 0} != {**other, "at": 0} for one, other in itertools.pairwise(entries))


def test_a_record_that_cannot_be_kept_does_not_fail_the_deployment(
    configs: LocalAws, dag: DAG, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(Recorded):
        def xcom_push(self, key: str, value: Any) -> None:
            if key in ("record", "timeline"):
                raise OSError("no space left")
            super().xcom_push(key, value)

    ran = Full()
    run_task(deploy("c1"), ran=ran, outlet_events=ran.events)
    assert ran.value == "churn"
    assert "no space left" in caplog.text


# URIs


def test_consumers_name_the_same_asset() -> None:
    asset = endpoint_asset("us-east-1", "churn")
    assert asset.uri == URI
    assert sanitize_uri(urlsplit(URI)) == urlsplit(URI)


@pytest.mark.parametrize(
    "uri",
    [
        "sagemaker://us-east-1",
        "sagemaker://us-east-1/endpoint/",
        "sagemaker:///endpoint/churn",
        "sagemaker://us-east-1/model/churn",
        "sagemaker://us-east-1/endpoint/churn/more",
    ],
)
def test_another_uri_is_an_error(uri: str) -> None:
    with pytest.raises(ValueError, match=r"allowed: sagemaker://<region>/endpoint/<name>"):
        sanitize_uri(urlsplit(uri))


def test_the_alias_is_an_outlet_at_parse_time(dag: DAG) -> None:
    assert AssetAlias(ALIAS) in deploy("c1").outlets
