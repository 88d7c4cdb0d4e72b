"""The page and the tab in Chromium, in an Airflow whose tasks have deployed to a local AWS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.ui.browser import chromium, opened
from tests.ui.world import World, world

pytestmark = [pytest.mark.scheduler, pytest.mark.timeout(600)]

MARKUP = "<img src=x onerror=\"document.title='injected'\">"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def recorded(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An Airflow with a deployment that succeeded, one that failed, and one that was rolled back."""
    found = distribution("airflow-provider-sm-hosting").entry_points.select(group="airflow.plugins")
    assert found, "install the package again: its entry points are older than its code"
    with world(tmp_path_factory.mktemp("airflow")) as started:
        runs = [
            started.start("deploy_now", endpoint=endpoint, config=config)
            for endpoint, config in (("churn", "c1"), ("two", "ab"), ("fraud", "bad"))
        ]
        states = [started.ended("deploy_now", run)["state"] for run in runs]
        assert states == ["success", "success", "failed"]
        assert started.run("deploy_now", endpoint="churn", config="bad")["state"] == "failed"
        yield started


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Any, recorded: World) -> Iterator[Any]:
    with opened(browser, request.param, base_url=recorded.airflow.url) as page:
        yield page


def opened_row(page: Any, endpoint: str) -> Any:
    page.goto("/plugin/sm-endpoints")
    row = page.locator(f"[data-endpoint={endpoint}]")
    row.locator("button.smh-row").click()
    row.locator("table.smh-table").last.wait_for()
    return row


def tab(page: Any, dag_id: str, run_id: str, task_id: str) -> Any:
    page.goto(f"/dags/{dag_id}/runs/{quote(run_id)}/tasks/{task_id}/plugin/sm-deployment")
    shown = page.locator(".smh")
    shown.locator("h1, .smh-state strong").first.wait_for()
    return shown


def test_airflow_has_loaded_the_plugin(recorded: World) -> None:
    assert recorded.airflow.api("GET", "plugins/importErrors")["total_entries"] == 0
    names = [plugin["name"] for plugin in recorded.airflow.api("GET", "plugins")["plugins"]]
    assert "sm_hosting" in names


def test_the_navigation_leads_to_the_page(page: Any) -> None:
    page.goto("/")
    page.get_by_role("link", name="Endpoints").click()
    page.get_by_role("heading", name=re.compile("SageMaker endpoints")).wait_for()


def test_the_page_lists_what_serves_and_what_failed(page: Any) -> None:
    page.goto("/plugin/sm-endpoints")
    two = page.locator("[data-endpoint=two]")
    two.get_by_text("InService").wait_for()
    assert two.get_by_role("img").get_attribute("aria-label") == "Traffic: blue 50 %, green 50 %"
    page.locator("[data-endpoint=fraud]").get_by_text("Last deployment failed").wait_for()


def test_the_history_explains_a_rolled_back_deployment(page: Any) -> None:
    row = opened_row(page, "churn")
    row.get_by_text("Rolled back", exact=True).wait_for()
    row.get_by_text("SageMaker rolled endpoint churn back").wait_for()
    assert row.get_by_text("Created", exact=True).count() == 1
    row.get_by_role("link", name="deploy_now").first.click()
    page.wait_for_url(re.compile("/dags/deploy_now/runs/"))


def test_an_endpoint_opens_and_closes_by_keyboard(page: Any) -> None:
    page.goto("/plugin/sm-endpoints")
    button = page.locator("[data-endpoint=two] button.smh-row")
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="History").wait_for()
    assert button.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="History").wait_for(state="detached")


def test_a_filter_hides_other_endpoints(page: Any) -> None:
    page.goto("/plugin/sm-endpoints")
    page.locator("[data-endpoint=two]").wait_for()
    page.get_by_label("Filter endpoints").fill("chur")
    page.locator("[data-endpoint=two]").wait_for(state="detached")
    assert page.locator("[data-endpoint]").count() == 1
    page.get_by_label("Filter endpoints").fill("nothing like it")
    page.get_by_text("No endpoint matches").wait_for()


def failed_run(recorded: World) -> str:
    runs = recorded.airflow.api("GET", "dags/deploy_now/dagRuns?state=failed&limit=1")["dag_runs"]
    return str(runs[0]["dag_run_id"])


def test_the_tab_shows_timeline_and_failure(page: Any, recorded: World) -> None:
    shown = tab(page, "deploy_now", failed_run(recorded), "deploy")
    shown.locator(".smh-error").wait_for()
    assert "Reason: Please make sure all images" in shown.locator(".smh-error").inner_text()
    assert shown.locator("ol.smh-time li").count() >= 2


def test_the_tab_shows_a_plan(page: Any, recorded: World) -> None:
    shown = tab(page, "deploy_now", failed_run(recorded), "plan")
    shown.get_by_role("heading", name="Plan").wait_for()


def test_a_deferred_canary_is_live_and_the_page_changes(browser: Any, recorded: World) -> None:
    with opened(browser, base_url=recorded.airflow.url) as page:
        run = recorded.start("deploy_canary", endpoint="churn", config="c2")
        shown = tab(page, "deploy_canary", run, "deploy")
        shown.get_by_text(re.compile("50 % of traffic on c2, baking")).wait_for(timeout=60_000)
        shown.get_by_text(re.compile(r"baked \d+ s, \d+ s left")).wait_for()
        page.goto("/plugin/sm-endpoints")
        row = page.locator("[data-endpoint=churn]")
        row.get_by_text("Deploying", exact=True).wait_for()
        row.get_by_text("c1 → c2").wait_for()
        assert recorded.ended("deploy_canary", run)["state"] == "success"
        row.get_by_text("InService").wait_for(timeout=60_000)
        row.get_by_text("c2", exact=True).wait_for()


def test_the_dag_that_the_page_links_to_rolls_back(browser: Any, recorded: World) -> None:
    with opened(browser, base_url=recorded.airflow.url) as page:
        row = opened_row(page, "churn")
        row.get_by_text("Goes back to c1").wait_for()
        row.get_by_role("link", name="Open the rollback DAG").click()
        page.wait_for_url(re.compile("/dags/rollback_endpoint"))
        assert recorded.run("rollback_endpoint", endpoint_name="churn")["state"] == "success"
        row = opened_row(page, "churn")
        row.get_by_text(re.compile("^c1 since")).wait_for()


# What was stored is text. The answers of the API are replaced: a name with markup gets nowhere else.


def test_stored_text_is_never_markup(page: Any) -> None:
    def poisoned(route: Any) -> None:
        answer = route.fetch()
        body = answer.text()
        for word in (
            "InService",
            "pytorch-inference",
            "deploy_now",
            '"c1"',
            "us-east-1",
            "rolled endpoint churn",
        ):
            clean = word.strip('"')
            markup = (clean + MARKUP).replace('"', '\\"')
            body = body.replace(word, f'"{markup}"' if word.startswith('"') else markup)
        route.fulfill(response=answer, body=body)

    page.route("**/api/v2/assets/**", poisoned)
    page.route("**/api/v2/**/xcomEntries/**", poisoned)
    row = opened_row(page, "churn")
    row.get_by_text("onerror").first.wait_for()
    assert page.locator(".smh img").count() == 0
    assert page.title() != "injected"


@pytest.mark.parametrize(
    ("status", "title"),
    [
        (401, "Your session has ended"),
        (403, "You may not see endpoints"),
        (500, "Airflow did not answer"),
        (None, "Airflow did not answer"),
    ],
)
def test_what_the_user_cannot_see_is_said(page: Any, status: int | None, title: str) -> None:
    def refused(route: Any) -> None:
        if status is None:
            route.abort()
        else:
            route.fulfill(status=status, json={"detail": "no"})

    page.route("**/api/v2/assets?**", refused)
    page.goto("/plugin/sm-endpoints")
    page.get_by_text(title).wait_for()
    assert page.locator("[data-endpoint]").count() == 0


def test_an_airflow_without_endpoints_says_how_they_get_here(page: Any) -> None:
    page.route("**/api/v2/assets?**", lambda route: route.fulfill(json={"assets": [], "total_entries": 0}))
    page.route(
        "**/api/v2/dags/~/**", lambda route: route.fulfill(json={"task_instances": [], "total_entries": 0})
    )
    page.goto("/plugin/sm-endpoints")
    page.get_by_text("No endpoint yet").wait_for()


def test_a_user_who_may_not_see_task_instances_sees_the_endpoints(page: Any) -> None:
    page.route("**/api/v2/dags/~/**", lambda route: route.fulfill(status=403, json={"detail": "no"}))
    page.goto("/plugin/sm-endpoints")
    page.locator("[data-endpoint=churn]").wait_for()
    page.get_by_text("deployments that run or failed are not shown").wait_for()


def test_the_page_and_the_tab_are_accessible(page: Any, recorded: World) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe").Axe()
    opened_row(page, "churn")
    assert axe.run(page, context=".smh").generate_report().startswith("Found 0 accessibility violations")
    tab(page, "deploy_now", failed_run(recorded), "deploy")
    assert axe.run(page, context=".smh").generate_report().startswith("Found 0 accessibility violations")


def test_the_pages_module_comes_from_the_package(recorded: World) -> None:
    import requests

    path = Path(__file__).parent.parent.parent / "airflow_sm_hosting/ui/static/ui.js"
    answer = requests.get(f"{recorded.airflow.url}/sm-hosting/static/ui.js", timeout=30)
    assert answer.content == path.read_bytes()
