"""The page of the local AWS: whom it shows something, and what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.server.browser_page import COOKIE, OWN_HEADER, PREFIX, READING
from airflow_sm_hosting.local.wire.operations import changes_something
from tests.local_servers import local_server
from tests.operators.conftest import IMAGE, ROLE, _emptied, make_config, make_endpoint, make_model

OWN = {OWN_HEADER: "1"}


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with pytest.MonkeyPatch.context() as patch:
        aws = _emptied(local_server(), patch)
        make_model(aws)
        make_config(aws, "c1")
        make_endpoint(aws, "c1")
        yield aws


class Browser:
    """A browser that has no page yet."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.origin = aws.endpoint_url
        self.session = requests.Session()
        self.session.trust_env = False

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, f"{self.origin}{PREFIX}{path}", timeout=30, **options)

    def log_in(self, key: str) -> requests.Response:
        return self.ask("POST", "/login", json={"key": key})

    def call(self, service: str, operation: str, **members: Any) -> requests.Response:
        return self.ask(
            "POST",
            "/api/call",
            json={"service": service, "operation": operation, "members": members},
            headers=OWN,
        )


@pytest.fixture
def stranger(aws: LocalAws) -> Browser:
    return Browser(aws)


@pytest.fixture
def browser(aws: LocalAws) -> Browser:
    browser = Browser(aws)
    assert browser.log_in(aws.access_key).status_code == 200
    return browser


def test_who_has_no_key_sees_the_login_alone(stranger: Browser) -> None:
    for path in ("", "/endpoints", "/endpoints/churn", "/requests"):
        shown = stranger.ask("GET", path)
        assert shown.status_code == 200
        assert "Access key of this server" in shown.text
        assert "page.js" not in shown.text
    for method, path in (("GET", "/api/requests"), ("GET", "/api/server"), ("POST", "/api/faults")):
        assert stranger.ask(method, path, headers=OWN).status_code == 401
    assert stranger.call("sagemaker", "ListEndpoints").status_code == 401
    assert stranger.log_in("AKIAWRONG").status_code == 403
    assert not stranger.session.cookies


def test_the_key_opens_the_page_and_is_not_in_the_cookie(browser: Browser, aws: LocalAws) -> None:
    assert "page.js" in browser.ask("GET", "/endpoints/churn").text
    cookie = next(one for one in browser.session.cookies if one.name.startswith(COOKIE))
    assert aws.access_key not in str(cookie.value)
    answer = browser.log_in(aws.access_key).headers["Set-Cookie"]
    assert "HttpOnly" in answer
    assert "SameSite=Strict" in answer
    assert f"Path={PREFIX}" in answer


def test_another_site_reads_and_changes_nothing(browser: Browser) -> None:
    assert browser.ask("GET", "/api/requests").status_code == 403, "a link or a form has no header of its own"
    foreign = {**OWN, "Origin": "https://evil.example"}
    assert browser.ask("GET", "/api/requests", headers=foreign).status_code == 403
    assert browser.ask("POST", "/api/faults", json={"kind": "throttle"}, headers=foreign).status_code == 403
    assert browser.ask("POST", "/login", json={"key": "x"}, headers=foreign).status_code == 403
    own = {**OWN, "Origin": browser.origin}
    assert browser.ask("GET", "/api/requests", headers=own).status_code == 200


def test_a_name_that_leads_here_shows_nothing(stranger: Browser) -> None:
    """DNS rebinding: the browser believes to speak to the other site."""
    shown = stranger.ask("GET", "/endpoints", headers={"Host": "evil.example"})
    assert shown.status_code >= 400
    assert "Access key" not in shown.text


def test_nothing_of_others_runs_in_the_page(browser: Browser) -> None:
    for path in ("", "/static/page.js", "/static/page.css", "/api/server"):
        headers = browser.ask("GET", path, headers=OWN).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
    script = browser.ask("GET", "/static/page.js").text
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert sink not in script


@pytest.mark.parametrize("name", ["../handler.py", "..%2fhandler.py", "nothing.js", ""])
def test_only_files_of_the_page_are_served(browser: Browser, name: str) -> None:
    assert browser.ask("GET", f"/static/{name}").status_code in (200, 404)
    assert "hmac" not in browser.ask("GET", f"/static/{name}").text


def test_the_page_calls_what_reads_and_nothing_else(browser: Browser) -> None:
    found = browser.call("sagemaker", "DescribeEndpoint", EndpointName="churn").json()
    assert (found["EndpointName"], found["EndpointConfigName"]) == ("churn", "c1")
    for service, operation in (
        ("sagemaker", "DeleteEndpoint"),
        ("iam", "ListUsers"),
        ("s3", "GetObject"),
        ("secretsmanager", "GetSecretValue"),
    ):
        assert browser.call(service, operation, EndpointName="churn").status_code == 403
    assert browser.call("sagemaker", "DescribeEndpoint", EndpointName="churn").status_code == 200
    for operations in READING.values():
        for operation in operations:
            assert not changes_something(operation, "POST"), operation


def test_a_refusal_is_told(browser: Browser) -> None:
    answer = browser.call("sagemaker", "DescribeEndpoint", EndpointName="nowhere")
    assert answer.status_code == 400
    assert "Could not find" in answer.json()["message"]


def test_values_of_environments_are_not_shown(browser: Browser, aws: LocalAws) -> None:
    aws.client("sagemaker").create_model(
        ModelName="hidden",
        PrimaryContainer={"Image": IMAGE, "Environment": {"TOKEN": "hunter2"}},
        ExecutionRoleArn=ROLE,
    )
    shown = browser.call("sagemaker", "DescribeModel", ModelName="hidden")
    assert "TOKEN" in shown.text
    assert "hunter2" not in shown.text


def test_looking_is_no_request_and_meets_no_fault(browser: Browser, aws: LocalAws) -> None:
    aws.clear_requests()
    fault = {"kind": "throttle", "operation": "DescribeEndpoint", "count": 1}
    assert browser.ask("POST", "/api/faults", json=fault, headers=OWN).status_code == 200
    assert browser.call("sagemaker", "DescribeEndpoint", EndpointName="churn").status_code == 200
    assert len(browser.ask("GET", "/api/faults", headers=OWN).json()["faults"]) == 1
    assert browser.ask("GET", "/api/requests", headers=OWN).json()["requests"] == []
    assert browser.ask("DELETE", "/api/faults", headers=OWN).status_code == 200
    assert browser.ask("GET", "/api/faults", headers=OWN).json()["faults"] == []


def test_a_wrong_fault_is_told_in_words(browser: Browser) -> None:
    answer = browser.ask("POST", "/api/faults", json={"kind": "flood"}, headers=OWN)
    assert answer.status_code == 400
    assert "kind must be one of" in answer.json()["message"]


def test_what_is_no_route_is_refused(browser: Browser) -> None:
    assert browser.ask("POST", "/endpoints", json={}).status_code == 404
    assert browser.ask("GET", "/api/nothing", headers=OWN).status_code == 404
    assert browser.call("sagemaker", "Nothing").status_code == 403
    wrong = {"service": "sagemaker", "operation": "ListEndpoints", "members": [1]}
    assert browser.ask("POST", "/api/call", json=wrong, headers=OWN).status_code == 400
    assert json.loads(browser.ask("GET", "/api/server", headers=OWN).text)["engine"]
