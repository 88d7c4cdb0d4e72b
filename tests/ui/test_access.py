"""Who sees what, and who can change what: real users of Airflow's simple auth manager, its API, and the page in Chromium."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from airflow.api_fastapi.core_api import security

from tests.standalone import Airflow
from tests.ui.browser import chromium, opened
from tests.ui.limited_auth import ONE_DAG, READS_NOTHING, READS_ONE_DAG
from tests.ui.test_browser import opened_row
from tests.ui.world import ROOT, World, world

pytestmark = [pytest.mark.scheduler, pytest.mark.timeout(600)]

PASSWORD = "for tests"
#: Users by name; those of the limited auth manager are viewers who read less.
ROLES = {READS_NOTHING: "viewer", READS_ONE_DAG: "viewer", "vera": "viewer", "uli": "user", "ada": "admin"}
ADMIN = ("ada", PASSWORD)
#: Nobody has logged in; somebody has made a token of their own.
NOBODY, FORGED = "nobody", "forged"
FORGED_TOKEN = "eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJhZGEiLCJyb2xlIjoiYWRtaW4ifQ.c2lnbmVk"

TASK = "dags/deploy_now/dagRuns/{run}/taskInstances/deploy"
ROLL_BACK: dict[str, Any] = {"logical_date": None, "conf": {"endpoint_name": "churn"}}
CLEAR = {"dry_run": True, "dag_run_id": "{run}"}

#: The status of each call that the page makes, and of those that change what it shows. None: not asked, as it would be done.
TABLE: list[tuple[str, Any, tuple[int | None, ...]]] = [
    #                                                 nobody forged nora  otto  vera  uli   ada
    ("GET plugins", None,                               (401, 403, 200,  200,  200,  200,  200)),
    ("GET assets?uri_pattern=sagemaker://", None,       (401, 403, 403,  200,  200,  200,  200)),
    ("GET assets/events?asset_id={asset}", None,        (401, 403, 403,  200,  200,  200,  200)),
    ("GET dags/~/dagRuns/~/taskInstances", None,        (401, 403, 403,  200,  200,  200,  200)),
    (f"GET {TASK}", None,                               (401, 403, 403,  403,  200,  200,  200)),
    (f"GET {TASK}/xcomEntries/record", None,            (401, 403, 403,  403,  200,  200,  200)),
    (f"GET {TASK}/xcomEntries/timeline", None,          (401, 403, 403,  403,  200,  200,  200)),
    # This task has made no plan.
    (f"GET {TASK}/xcomEntries/plan", None,              (401, 403, 403,  403,  404,  404,  404)),
    ("GET dags/rollback_endpoint", None,                (401, 403, 403,  403,  200,  200,  200)),
    ("POST dags/rollback_endpoint/dagRuns", ROLL_BACK,  (401, 403, 403,  403,  403,  None, None)),
    ("PATCH dags/deploy_now", {"is_paused": False},     (401, 403, 403,  403,  403,  200,  200)),
    ("POST dags/deploy_now/clearTaskInstances", CLEAR,  (401, 403, 403,  403,  403,  200,  200)),
    (f"PATCH {TASK}/xcomEntries/record", {"value": 1},  (401, 403, 403,  403,  403,  None, None)),
    ("DELETE dags/deploy_now/dagRuns/{run}", None,      (401, 403, 403,  403,  403,  None, None)),
    ("POST assets/events", {"asset_id": 1},             (401, 403, 403,  403,  403,  403,  None)),
]  # fmt: skip
COLUMNS = (NOBODY, FORGED, READS_NOTHING, READS_ONE_DAG, "vera", "uli", "ada")
CALLS = [
    pytest.param(user, call, body, status, id=f"{user}: {call}: {status}")
    for call, body, statuses in TABLE
    for user, status in zip(COLUMNS, statuses, strict=True)
    if status is not None
]


class Users:
    """An Airflow with users, and a second API server that knows two who read less.

    :param recorded: The Airflow, whose tasks have deployed.
    :param limited: The second API server.
    """

    def __init__(self, recorded: World, limited: Airflow) -> None:
        self.recorded = recorded
        self.limited = limited
        run = recorded.run("deploy_now", endpoint="churn", config="c1")
        assert run["state"] == "success"
        assert recorded.run("deploy_now", endpoint="churn", config="c2")["state"] == "success"
        assert recorded.run("deploy_now", endpoint="fraud", config="bad")["state"] == "failed"
        self.run_id = str(run["dag_run_id"])
        (asset,) = recorded.airflow.api("GET", "assets?name_pattern=churn&only_active=false")["assets"]
        self.asset_id = int(asset["id"])
        self._tokens: dict[str, str] = {}
        #: The tab of the deployment.
        self.tab = f"/dags/deploy_now/runs/{quote(self.run_id)}/tasks/deploy/plugin/sm-deployment"

    def server(self, user: str) -> Airflow:
        return self.limited if user in (READS_NOTHING, READS_ONE_DAG) else self.recorded.airflow

    def token(self, user: str) -> str | None:
        if user in (NOBODY, FORGED):
            return FORGED_TOKEN if user == FORGED else None
        if user not in self._tokens:
            self._tokens[user] = self.server(user).token((user, PASSWORD))
        return self._tokens[user]

    def ask(self, user: str, call: str, body: Any = None) -> requests.Response:
        """Make a call as a user: method and path, in which run and asset are filled in."""
        known = {"{run}": self.run_id, "{asset}": str(self.asset_id)}
        token = self.token(user)
        for name, value in known.items():
            call = call.replace(name, quote(value))
            body = json.loads(json.dumps(body).replace(name, value))
        method, path = call.split(" ")
        return requests.request(
            method,
            f"{self.server(user).url}/api/v2/{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=30,
        )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Users]:
    home = tmp_path_factory.mktemp("access")
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps(dict.fromkeys(ROLES, PASSWORD)))
    environment = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
            f"{name}:{role}" for name, role in ROLES.items()
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    with world(home, environment, user=ADMIN) as recorded:
        # "standalone" takes no other auth manager than the simple one.
        limited = Airflow(
            home,
            home / "dags",
            {
                **environment,
                "AIRFLOW__CORE__AUTH_MANAGER": "tests.ui.limited_auth.LimitedAuthManager",
                "PYTHONPATH": str(ROOT),
            },
            command="api-server",
            user=ADMIN,
        )
        try:
            limited.until("the second API server answers", lambda: limited.api("GET", "plugins"))
            yield Users(recorded, limited)
        finally:
            limited.stop()


@pytest.mark.parametrize(("user", "call", "body", "status"), CALLS)
def test_airflow_decides_each_call(users: Users, user: str, call: str, body: Any, status: int) -> None:
    answer = users.ask(user, call, body)
    assert answer.status_code == status, answer.text[:500]
    if status >= 400:
        assert set(answer.json()) == {"detail"}  # no data beside the refusal


def test_the_table_has_every_call_that_page_and_tab_make(browser: Any, users: Users) -> None:
    asked: set[str] = set()

    def note(request: Any) -> None:
        # Airflow's own UI asks with XMLHttpRequest.
        if "/api/v2/" in request.url and request.resource_type == "fetch":
            path = urlsplit(request.url).path.partition("/api/v2/")[2]
            known = re.sub(r"dagRuns/(?!~)[^/]+", "dagRuns/{run}", path)
            asked.add(f"{request.method} {known}")

    with opened(browser, token=users.token("ada"), base_url=users.recorded.airflow.url) as page:
        page.on("request", note)
        opened_row(page, "churn").get_by_role("link", name="Open the rollback DAG").wait_for()
        opened_row(page, "fraud").get_by_text("Failed", exact=True).first.wait_for()
        page.goto(users.tab)
        page.get_by_role("heading", name="Timeline").wait_for()
    told = {call.partition("?")[0] for call, _, _ in TABLE}
    assert "GET assets" in asked
    assert asked - told == set()


@pytest.mark.skipif(
    not hasattr(security, "PermittedAssetEventFilter"),
    reason="Airflow 3.1 and 3.2 show the events of all DAGs to who may read assets",
)
def test_a_user_sees_no_deployment_of_a_dag_that_they_may_not_read(browser: Any, users: Users) -> None:
    listed = users.ask(READS_ONE_DAG, "GET dags/~/dagRuns/~/taskInstances").json()["task_instances"]
    assert {task["dag_id"] for task in listed} <= {ONE_DAG}
    assert users.ask(READS_ONE_DAG, "GET assets/events?asset_id={asset}").json()["asset_events"] == []
    assert users.ask("vera", "GET assets/events?asset_id={asset}").json()["total_entries"] == 2
    with opened(browser, token=users.token(READS_ONE_DAG), base_url=users.limited.url) as page:
        page.goto("/plugin/sm-endpoints")
        row = page.locator("[data-endpoint=churn]")
        row.get_by_text("Hidden from you").wait_for()
        row.locator("button.smh-row").click()
        row.get_by_text("You may not see the DAGs that have deployed this endpoint").wait_for()
        assert row.get_by_text("c2").count() == 0
        # Its failed deployment is a task instance of that DAG.
        assert page.locator("[data-endpoint=fraud]").count() == 0


def test_a_user_who_reads_nothing_is_told_so_on_page_and_tab(browser: Any, users: Users) -> None:
    with opened(browser, token=users.token(READS_NOTHING), base_url=users.limited.url) as page:
        page.goto("/plugin/sm-endpoints")
        page.get_by_text("You may not see endpoints").wait_for()
        page.get_by_text("Ask an administrator").wait_for()
        assert page.locator("[data-endpoint], .smh input, .smh select").count() == 0
        page.goto(users.tab)
        page.get_by_text("You may not see this deployment").wait_for()
        assert page.locator(".smh-card").count() == 0


def test_a_viewer_sees_the_page_and_cannot_roll_back(browser: Any, users: Users) -> None:
    with opened(browser, token=users.token("vera"), base_url=users.recorded.airflow.url) as page:
        row = opened_row(page, "churn")
        row.get_by_text(re.compile("^c2 since")).wait_for()
        # What page and tab offer are links, and what stays in the browser.
        buttons = row.get_by_role("button").all_inner_texts()
        assert [text for text in buttons if "Copy" not in text] == buttons[:1]
        row.get_by_role("link", name="Open the rollback DAG").click()
        page.wait_for_url(re.compile("/dags/rollback_endpoint"))
        # With the session of the browser, as the form of that DAG asks.
        answer = page.request.post("/api/v2/dags/rollback_endpoint/dagRuns", data=ROLL_BACK)
        assert answer.status == 403, answer.text()
    assert users.recorded.airflow.api("GET", "dags/rollback_endpoint/dagRuns")["total_entries"] == 0


def test_a_session_that_has_ended_leads_to_the_login_and_back(browser: Any, users: Users) -> None:
    with opened(browser, token=users.token("vera"), base_url=users.recorded.airflow.url) as page:
        page.goto("/plugin/sm-endpoints")
        page.locator("[data-endpoint=churn]").wait_for()
        page.context.clear_cookies()
        page.get_by_text("Your session has ended").wait_for()
        assert page.locator("[data-endpoint], .smh input").count() == 0
        page.get_by_role("link", name="Log in again").click()
        page.get_by_label("Username").fill("vera")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.locator("[data-endpoint=churn]").wait_for()


@pytest.mark.parametrize("path", ["/sm-hosting/", "/sm-hosting/docs", "/sm-hosting/openapi.json"])
def test_without_a_login_the_plugin_has_no_page_but_its_static_files(users: Users, path: str) -> None:
    assert requests.get(users.recorded.airflow.url + path, timeout=30).status_code == 404


def test_without_a_login_the_static_files_are_those_of_the_package(users: Users) -> None:
    for name in ("ui.js", "icon.svg", "icon-dark.svg"):
        answer = requests.get(f"{users.recorded.airflow.url}/sm-hosting/static/{name}", timeout=30)
        assert answer.content == (ROOT / "airflow_sm_hosting/ui/static" / name).read_bytes()


def test_without_a_login_the_page_leads_to_the_login_and_has_no_data(browser: Any, users: Users) -> None:
    shell = requests.get(f"{users.recorded.airflow.url}/plugin/sm-endpoints", timeout=30)
    assert not re.search("churn|fraud", shell.text)
    context = browser.new_context(base_url=users.recorded.airflow.url)
    try:
        page = context.new_page()
        for path in ("/plugin/sm-endpoints", users.tab):
            page.goto(path)
            page.get_by_label("Password").wait_for()
            assert page.locator(".smh").count() == 0
    finally:
        context.close()


# Last: what serves is another config afterwards.
@pytest.mark.parametrize(("user", "serves"), [("uli", "c1"), ("ada", "c2")])
def test_users_and_administrators_roll_back(users: Users, user: str, serves: str) -> None:
    answer = users.ask(
        user,
        "POST dags/rollback_endpoint/dagRuns",
        {**ROLL_BACK, "conf": {**ROLL_BACK["conf"], "endpoint_config_name": serves}},
    )
    assert answer.status_code == 200, answer.text
    ended = users.recorded.ended("rollback_endpoint", answer.json()["dag_run_id"])
    assert (ended["state"], ended["triggering_user_name"]) == ("success", user)
    described = users.recorded.aws.client("sagemaker").describe_endpoint(EndpointName="churn")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", serves)
