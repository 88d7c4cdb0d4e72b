"""The page of the local AWS in Chromium: each link of a task opens what it names, and nothing that AWS stores becomes markup."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_sm_hosting.links import (
    AlarmLink,
    ArtifactLink,
    ComponentLogsLink,
    ConsoleLink,
    DashboardLink,
    EndpointConfigLink,
    EndpointLink,
    EndpointLogsLink,
    ModelLink,
    RepositoryLink,
)
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import Deployer
from tests.operators.conftest import Ran
from tests.ui.browser import chromium

pytestmark = pytest.mark.slow

MARKUP = "<img src=x onerror=\"document.title='injected'\">"


class Scene:
    """A local AWS with an endpoint that has answered, and what a deployment leaves beside it."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        deployer = Deployer(aws)
        self.image = deployer.push_image()
        self.model = deployer.model(Image=self.image, Environment={"TOKEN": "hunter2"})
        self.config = deployer.config(deployer.variant(self.model))
        self.endpoint = deployer.endpoint(self.config)
        aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.endpoint, ContentType="text/csv", Body=b"1"
        )
        cloudwatch = aws.client("cloudwatch")
        cloudwatch.put_metric_alarm(
            AlarmName="slow", AlarmDescription=MARKUP, Namespace="N", MetricName="M", Statistic="Sum", Period=60,
            EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
        cloudwatch.put_dashboard(DashboardName="shown", DashboardBody='{"widgets": []}')
        aws.client("s3").create_bucket(Bucket="models")
        aws.client("s3").put_object(Bucket="models", Key="churn/model 1.tar.gz", Body=b"1")

    def address(self, link: ConsoleLink, **names: str) -> str:
        """Return what a task of this local AWS pushes for a link."""
        ran = Ran()
        context: Any = {"ti": ran}
        link.persist(
            context,
            partition="aws",
            region=self.aws.region_name,
            local_aws=self.aws.endpoint_url,
            **names,
        )
        return str(ran.xcoms[link.key])


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with LocalAws(engine="process", transition_seconds=0) as aws:
        yield Scene(aws)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Any, scene: Scene) -> Iterator[Any]:
    """A page that has logged in; an error of its script is an error here."""
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{scene.aws.endpoint_url}/_sm_hosting/ui")
    page.get_by_label("Access key of this server").fill(scene.aws.access_key)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Endpoints").wait_for()
    yield page
    assert errors == []
    context.close()


def test_each_link_opens_what_it_names(page: Any, scene: Scene) -> None:
    repository = scene.image.partition("/")[2].partition(":")[0]
    for address, shown in (
        (scene.address(EndpointLink(), endpoint_name=scene.endpoint), "InService"),
        (scene.address(EndpointLogsLink(), endpoint_name=scene.endpoint), "answered /invocations"),
        (scene.address(ComponentLogsLink(), inference_component_name="c"), "There are no logs in"),
        (
            scene.address(EndpointConfigLink(), endpoint_config_name=scene.config),
            f'"ModelName": "{scene.model}"',
        ),
        (scene.address(ModelLink(), model_name=scene.model), '"TOKEN": "***"'),
        (scene.address(RepositoryLink(), registry_id="1", repository_name=repository), '"imageDigest"'),
        (scene.address(ArtifactLink(), bucket="models", object_key="churn/model 1.tar.gz"), '"ETag"'),
        (scene.address(AlarmLink(), alarm_name="slow"), "INSUFFICIENT_DATA"),
        (scene.address(DashboardLink(), dashboard_name="shown"), '"DashboardName": "shown"'),
    ):
        page.goto(address)
        page.locator("main", has_text=shown).wait_for()
        assert "hunter2" not in page.content()


def test_what_is_stored_is_text(page: Any, scene: Scene) -> None:
    page.goto(scene.address(AlarmLink(), alarm_name="slow"))
    page.locator("main", has_text="onerror").wait_for()
    assert page.locator("main img").count() == 0
    assert "injected" not in page.title()


def test_a_link_from_another_address_needs_no_second_login(page: Any, scene: Scene) -> None:
    """Airflow is another site to the browser, where it has another host name: the strict cookie is not sent with its links."""
    port = scene.aws.endpoint_url.rpartition(":")[2]
    page.goto(f"http://localhost:{port}/_sm_hosting/ui/static/icon.svg")
    page.evaluate("(address) => { location.href = address }", scene.address(AlarmLink(), alarm_name="slow"))
    page.locator("main", has_text="INSUFFICIENT_DATA").wait_for()


def test_faults_are_added_and_removed_with_buttons(page: Any, scene: Scene) -> None:
    page.goto(f"{scene.aws.endpoint_url}/_sm_hosting/ui/faults")
    page.get_by_label("Operation", exact=True).fill("DescribeEndpoint")
    page.get_by_role("button", name="Throttle 3 requests").click()
    page.locator("pre", has_text='"kind": "throttle"').wait_for()
    [fault] = scene.aws.faults()
    assert (fault["kind"], fault["operation"], fault["count"]) == ("throttle", "DescribeEndpoint", 3)
    page.get_by_role("button", name="Remove all").click()
    page.get_by_text("None.").wait_for()
    assert scene.aws.faults() == []


def test_two_servers_have_a_login_each(page: Any, scene: Scene) -> None:
    with LocalAws(engine="none", transition_seconds=0) as other:
        page.goto(f"{other.endpoint_url}/_sm_hosting/ui")
        page.get_by_label("Access key of this server").fill(other.access_key)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Endpoints").wait_for()
    page.goto(f"{scene.aws.endpoint_url}/_sm_hosting/ui/alarms")
    page.get_by_role("link", name="slow").wait_for()


@pytest.mark.parametrize("path", ["nothing", "endpoints/%E0%A4%A"])
def test_an_address_that_leads_nowhere_is_told(page: Any, scene: Scene, path: str) -> None:
    page.goto(f"{scene.aws.endpoint_url}/_sm_hosting/ui/{path}")
    page.get_by_role("alert").wait_for()
