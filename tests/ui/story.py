"""The story that a person sees in Airflow: deploy from the form, approve, watch a canary, read why a model failed, roll back.

The test of it and the script of the documentation's pictures tell the same story: ``tell`` takes pictures only for the script.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow_sm_hosting import policies
from airflow_sm_hosting.local import LocalAws
from tests.standalone import DEFERRED_TRANSITION, Airflow

DAGS = Path(__file__).parent.parent.parent / "dags"
DAG_ID = "retrain_and_deploy"
ENDPOINT = "breast-cancer"
#: The longest time of a deployment, in milliseconds.
DEPLOYED = 180_000

Picture = Callable[[str], None]


class Stage:
    """An Airflow with the example DAGs, whose tasks deploy to a local AWS.

    :param aws: The local AWS.
    :param airflow: The Airflow.
    """

    def __init__(self, aws: LocalAws, airflow: Airflow) -> None:
        self.aws = aws
        self.airflow = airflow
        self.models = airflow.home / "models"

    def train(self) -> dict[str, Any]:
        """Train a model as its schedule does; return it."""
        # A DAG with a schedule makes its latest run when it is unpaused.
        self.airflow.unpause("train_model", "rollback_endpoint")
        assert self.airflow.ended_run("train_model")["state"] == "success"
        (path,) = self.models.glob("breast_cancer/*/model.json")
        model: dict[str, Any] = json.loads(path.read_text())
        return model

    def write_model(self, name: str, model: dict[str, Any]) -> Path:
        """Write the artifact of a model; return its folder."""
        folder = self.models / name
        folder.mkdir()
        (folder / "model.json").write_text(json.dumps(model))
        return folder

    def serving(self) -> str:
        """Return the name of the config that serves, when nothing changes the endpoint any more."""
        sagemaker = self.aws.client("sagemaker")

        def settled() -> Any:
            found = sagemaker.describe_endpoint(EndpointName=ENDPOINT)
            return found if found["EndpointStatus"] == "InService" else None

        return str(self.airflow.until("the endpoint is in service", settled)["EndpointConfigName"])

    def ended(self, dag_id: str, run_id: str) -> str:
        """Wait until a run has ended; return its state."""
        place = f"dags/{dag_id}/dagRuns/{quote(run_id)}"

        def state() -> Any:
            found = self.airflow.api("GET", place)["state"]
            return found if found in ("success", "failed") else None

        return str(self.airflow.until(f"{place} ends", state))


@contextmanager
def stage(home: Path) -> Iterator[Stage]:
    """Start both.

    :param home: An existing folder, which becomes Airflow's home.
    """
    with LocalAws(engine="process", transition_seconds=DEFERRED_TRANSITION) as aws:
        aws.client("s3").create_bucket(Bucket="sm-hosting-models")
        aws.client("iam").create_role(
            RoleName="SageMakerHostingRole", AssumeRolePolicyDocument=json.dumps(policies.trust())
        )
        environment = {
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws.connection()),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__SM_HOSTING__IMAGE_BUILDER": "assembler",
            "MODEL_STORE": str(home / "models"),
            "SM_HOSTING_ALLOW_MISSING_BASE": "1",
        }
        airflow = Airflow(home, DAGS, environment)
        try:
            yield Stage(aws, airflow)
        finally:
            airflow.stop()


class Form:
    """Airflow's form for a new run, opened.

    :param page: The browser's page.
    :param dag_id: The DAG; None: the page shows it already.
    """

    def __init__(self, page: Any, dag_id: str | None) -> None:
        self._page = page
        if dag_id:
            page.goto(f"/dags/{dag_id}")
            page.get_by_role("button", name="Trigger").first.click()
        self.dialog = page.get_by_role("dialog")
        self.dialog.get_by_role("button", name="Run Parameters").wait_for()

    def section(self, name: str) -> None:
        """Open a section: the form shows one at a time."""
        button = self.dialog.get_by_role("button", name=name, exact=True)
        if button.get_attribute("aria-expanded") != "true":
            button.click()

    def fill(self, section: str, **values: str) -> None:
        """Fill in fields of a section."""
        self.section(section)
        for name, value in values.items():
            self.dialog.locator(f"[name=element_{name}]").fill(value)

    def choose_rollout(self, label: str) -> None:
        """Choose a rollout by its label."""
        self.section("Run Parameters")
        self.dialog.get_by_role("combobox", name="Rollout").click()
        self._page.get_by_role("option", name=label).click()

    def ask_for_approval(self) -> None:
        """Ask a person to approve the plan."""
        self.section("Deployment")
        self.dialog.get_by_text("Ask a person to approve the plan").click()
        assert self.dialog.locator("[name=element_approval]").is_checked()

    def refused(self) -> str:
        """Press the button, and return why the form was refused."""
        self._press()
        error = self.dialog.get_by_text("400 Bad Request")
        error.wait_for()
        error.scroll_into_view_if_needed()
        return str(self.dialog.inner_text())

    def start(self) -> str:
        """Press the button, and return the id of the run that Airflow shows then."""
        self._press()
        self._page.wait_for_url(re.compile(r"/runs/[^/]+$"))
        return str(self._page.evaluate("decodeURIComponent(location.pathname.split('/runs/')[1])"))

    def _press(self) -> None:
        self.dialog.get_by_role("button", name="Trigger", exact=True).click()


def tab_to(page: Any, wanted: Any) -> None:
    """Press the tab key until an element has the focus."""
    wanted.wait_for()
    for _ in range(150):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} cannot be reached with the tab key")


def open_tab(page: Any, run_id: str) -> Any:
    """Open the deployment tab of a run, as a person does: from the task."""
    page.goto(f"/dags/{DAG_ID}/runs/{quote(run_id)}/tasks/deploy_endpoint")
    page.get_by_role("link", name="Deployment", exact=True).click()
    shown = page.locator(".smh")
    shown.locator("h1, .smh-state strong").first.wait_for()
    return shown


def open_row(page: Any) -> Any:
    """Open the endpoint on the page, by keyboard."""
    page.goto("/plugin/sm-endpoints")
    row = page.locator(f"[data-endpoint={ENDPOINT}]")
    tab_to(page, row.locator("button.smh-row"))
    page.keyboard.press("Enter")
    row.get_by_role("heading", name="History").wait_for()
    return row


def tell(page: Any, stage: Stage, check: Callable[[Any], None], picture: Picture = lambda name: None) -> None:
    """Go through the story, and assert that each part of it is seen.

    :param page: The browser's page, opened at this Airflow.
    :param stage: The Airflow and its AWS.
    :param check: Asserts that what the page shows is accessible.
    :param picture: Takes a picture with a name.
    """
    model = stage.train()
    first = deploy_from_the_form(page, stage, picture)
    better = stage.write_model("better", changed(model))
    second = approve_a_canary(page, stage, better, first, check, picture)
    broken = stage.write_model("broken", {})
    read_why_a_model_failed(page, stage, broken, second, check, picture)
    roll_back(page, stage, first, picture)


def changed(model: dict[str, Any]) -> dict[str, Any]:
    """Return another model, which answers as this one does."""
    first, *others = model["members"]
    return {**model, "members": [{**first, "intercept": first["intercept"] + 0.01}, *others]}


def deploy_from_the_form(page: Any, stage: Stage, picture: Picture) -> str:
    """Start the first deployment; return its config."""
    form = Form(page, DAG_ID)
    picture("form")
    form.fill("Run Parameters", endpoint_name="breast_cancer")
    reason = form.refused()
    assert "Endpoint" in reason
    assert "Only letters, digits and inner hyphens" in reason
    picture("form-refused")
    form.fill("Run Parameters", endpoint_name=ENDPOINT)
    form.fill("Capacity", min_capacity="2")
    assert stage.ended(DAG_ID, form.start()) == "success"
    row = open_row(page)
    row.get_by_text("Created", exact=True).wait_for()
    return stage.serving()


def approve_a_canary(
    page: Any, stage: Stage, model: Path, old: str, check: Callable[[Any], None], picture: Picture
) -> str:
    """Deploy another model with a canary whose plan a person approves; return its config."""
    form = Form(page, DAG_ID)
    form.fill("Run Parameters", model_path=str(model))
    form.choose_rollout("Canary")
    form.fill("Deployment", bake_minutes="1")
    form.ask_for_approval()
    form.fill("Capacity", min_capacity="2")
    run_id = form.start()

    stage.airflow.until_released(DAG_ID, "approve", run_id)
    page.goto("/required_actions")
    page.get_by_role("link", name=f"Deploy to endpoint {ENDPOINT}?").click()
    page.get_by_role("heading", name=f"{ENDPOINT}: update").wait_for()
    page.get_by_text(re.compile("No alarm rolls the deployment back")).wait_for()
    for heading in ("Risks", "Changes"):
        page.get_by_role("heading", name=heading).wait_for()
    picture("approval")
    page.get_by_role("button", name="Approve", exact=True).click()

    shown = open_tab(page, run_id)
    shown.get_by_text("Deploying", exact=True).wait_for(timeout=DEPLOYED)
    # No reload from here on: the tab is live.
    shown.get_by_text(re.compile(r"^0 % of traffic on .*, creating")).wait_for(timeout=DEPLOYED)
    shown.get_by_text(re.compile(r"% of traffic on .*, baking")).wait_for(timeout=DEPLOYED)
    shown.get_by_text(re.compile(r"baked \d+ s, \d+ s left")).wait_for()
    check(page)
    picture("deployment-tab-canary")

    page.goto("/plugin/sm-endpoints")
    row = page.locator(f"[data-endpoint={ENDPOINT}]")
    row.get_by_text("Deploying", exact=True).wait_for()
    arrow = row.get_by_text(re.compile(f"{old} → "))
    arrow.wait_for()
    new = arrow.inner_text().split("→")[1].strip()
    picture("endpoints-page-deploying")
    row.get_by_text("InService").wait_for(timeout=DEPLOYED)
    row.get_by_text(new, exact=True).wait_for()
    assert stage.ended(DAG_ID, run_id) == "success"
    assert stage.serving() == new
    return new


def read_why_a_model_failed(
    page: Any, stage: Stage, model: Path, serving: str, check: Callable[[Any], None], picture: Picture
) -> None:
    """Deploy a model whose container does not start, and read why."""
    form = Form(page, DAG_ID)
    form.fill("Run Parameters", model_path=str(model))
    form.fill("Capacity", min_capacity="2")
    run_id = form.start()
    assert stage.ended(DAG_ID, run_id) == "failed"
    shown = open_tab(page, run_id)
    shown.get_by_text("Rolled back", exact=True).first.wait_for()
    reason = shown.locator(".smh-error").inner_text()
    assert "did not pass the ping health check" in reason
    assert "KeyError: 'features'" in reason
    check(page)
    picture("deployment-tab-failed")
    assert stage.serving() == serving
    row = open_row(page)
    row.get_by_text("Last deployment failed").wait_for()
    row.get_by_text("KeyError: 'features'").wait_for()
    check(page)
    picture("endpoints-page")


def roll_back(page: Any, stage: Stage, back_to: str, picture: Picture) -> None:
    """Roll back through the form that the page links to, by keyboard alone."""
    row = open_row(page)
    row.get_by_text(f"Goes back to {back_to}").wait_for()
    tab_to(page, row.get_by_role("link", name="Open the rollback DAG"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/dags/rollback_endpoint"))
    tab_to(page, page.get_by_role("button", name="Trigger").first)
    page.keyboard.press("Enter")
    form = Form(page, None)
    field = form.dialog.locator("[name=element_endpoint_name]")
    tab_to(page, field)
    page.keyboard.type(ENDPOINT)
    picture("rollback-form")
    tab_to(page, form.dialog.get_by_role("button", name="Trigger", exact=True))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/runs/[^/]+$"))
    run_id = str(page.evaluate("decodeURIComponent(location.pathname.split('/runs/')[1])"))
    assert stage.ended("rollback_endpoint", run_id) == "success"
    row = open_row(page)
    row.get_by_text(re.compile(f"^{back_to} since")).wait_for()
    row.locator("table.smh-table").last.get_by_text("Rollback", exact=True).wait_for()
    assert stage.serving() == back_to
