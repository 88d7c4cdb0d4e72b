"""One story of an endpoint (``make demo STORY=full``): a deployment, a rerun, a canary, and a rollback by an alarm.

The time of the local AWS is virtual, so that hours pass in a minute or two. Clients ask the endpoint all the time.
"""

from __future__ import annotations

import time
from typing import Any

from airflow_sm_hosting.local.client.control import Control
from demo.demo import ask, tell_what_next
from demo.home import Home
from demo.local_aws import choose_engine, engine_of, prepare_account, start, stop
from demo.plot import Mark, marks_of, plotted
from demo.runs import (
    ENDPOINT,
    airflow_environment,
    announced_model,
    deployed,
    migrate_database,
    run_dags,
)
from demo.telling import changing, console, say
from demo.traffic import Traffic

#: Params of all deployments. Two instances, so that a canary is one of them.
PARAMS = {"min_capacity": 2, "max_capacity": 4, "latency_threshold": 60_000}
#: Half of the rows, so that there is something to do better.
FIRST, BETTER = {"holdout": 0.5}, {"holdout": 0.25}
#: An ensemble takes many times as long to serve.
SLOW = {"holdout": 0.25, "members": 1000}
#: A request of a client asks so often about the sample rows.
REPEATED = 24


def tell_story(home: Home, wanted_engine: str) -> int:
    """Tell it, and return the exit code: 0 if each chapter ended as it should."""
    began = time.monotonic()
    engine, base = choose_engine(wanted_engine)
    if stop(home):
        say(f"The story begins with an empty local AWS: the one on port {home.port} was stopped.")
    aws = start(home, engine, clock="virtual")
    if aws is None:
        return 1
    prepare_account(aws)
    environment = airflow_environment(home, aws, engine_of(aws), base)
    migrate_database(home, environment)
    with Traffic(aws, ENDPOINT) as traffic:
        story = Story(home, aws, environment, traffic)
        for chapter in (story.deploy_first, story.run_again, story.deploy_better, story.deploy_slow):
            if not chapter():
                return 1
        traffic.hurry(True)
        traffic.wait(minutes=10)
    say()
    console.print(plotted(aws, ENDPOINT, story.configs, story.marks, console.width), markup=False)
    say(
        f"\nThe clients asked {traffic.answered + len(traffic.errors)} times; {len(traffic.errors)} requests failed."
    )
    say(f"Took {time.monotonic() - began:.0f} s. The endpoint stays in service; its time stands still now.")
    tell_what_next(home, aws)
    return 0


class Story:
    """The chapters; each returns whether it ended as it should.

    :param home: The demo's.
    :param aws: The local AWS, empty.
    :param environment: Airflow's.
    :param traffic: The clients.
    """

    def __init__(self, home: Home, aws: Control, environment: dict[str, str], traffic: Traffic) -> None:
        self._home, self._aws = home, aws
        self._environment, self._traffic = environment, traffic
        #: The configs that were deployed, each with the name of its model in the story.
        self.configs: dict[str, str] = {}
        #: What happened when, for the plot.
        self.marks: list[Mark] = []
        self._alarm = ""

    def deploy_first(self) -> bool:
        """Create the endpoint."""
        self._begin("1. The first deployment")
        tasks = self._run("first model", train=FIRST)
        if tasks is None:
            return False
        self._alarm = tasks["create_latency_alarm"]["xcoms"]["return_value"]
        announced = announced_model(self._home)
        self._traffic.ask_about(announced["samples"]["rows"] * REPEATED)
        serving = self._serving_config()
        self._end(
            f"{ENDPOINT} is in service on {serving}, with {PARAMS['min_capacity']} instances (accuracy {announced['accuracy']})."
        )
        return self.configs.get(serving) == "first model"

    def run_again(self) -> bool:
        """Run the same once more."""
        self._begin("2. The same again")
        before = max(request["number"] for request in self._aws.requests())
        tasks = self._run("first model", train=None)
        if tasks is None:
            return False
        self.marks[-1] = Mark(self.marks[-1].at, "the same again: nothing changed")
        requests = [request for request in self._aws.requests() if request["number"] > before]
        changed = changing(requests)
        self._end(f"Nothing changed: {changed.total()} API calls changed something.")
        return not changed

    def deploy_better(self) -> bool:
        """Deploy a better model, to half of the traffic first."""
        self._begin("3. A better model, as a canary")
        tasks = self._run("better model", train=BETTER, **self._canary(bake_minutes=20))
        if tasks is None:
            return False
        timeline = tasks["deploy_endpoint"]["xcoms"]["timeline"]
        shares = sorted({entry["moved"] for entry in timeline if entry.get("moved")} | {100})
        serving = self._serving_config()
        self._end(
            f"The traffic shifted in steps ({', '.join(f'{share} %' for share in shares)}); {ENDPOINT} serves {serving} "
            f"(accuracy {announced_model(self._home)['accuracy']})."
        )
        return len(shares) > 1 and self.configs.get(serving) == "better model"

    def deploy_slow(self) -> bool:
        """Deploy a model that is too slow, which the alarm of the latency rolls back."""
        self._begin("4. A model that is too slow")
        samples = announced_model(self._home)["samples"]
        served = self._serving_config()
        tasks = self._run("slow model", train=SLOW, may_fail=True, **self._canary(bake_minutes=40))
        if tasks is None:
            return False
        task = tasks["deploy_endpoint"]
        serving = self._serving_config()
        answers = ask(self._aws, samples["rows"])["labels"]
        same = sum(answer == before for answer, before in zip(answers, samples["predicted"], strict=True))
        if task["state"] == "failed":
            # Without the lines of the container's log.
            reason, _, _ = task["xcoms"]["record"]["failure"].partition(" The last lines of ")
            say(f"  deploy_endpoint failed: {reason}")
        self._end(
            f"Rolled back: {ENDPOINT} still serves {serving}, the better model; {same} of {len(answers)} answers are as before."
        )
        return task["state"] == "failed" and serving == served and same == len(answers)

    def _canary(self, bake_minutes: int) -> dict[str, Any]:
        return {"rollout": "canary", "bake_minutes": bake_minutes, "rollback_alarms": [self._alarm]}

    def _run(
        self, model: str, *, train: dict[str, Any] | None, may_fail: bool = False, **params: Any
    ) -> dict[str, Any] | None:
        """Run the DAGs, and note what the deployment's timeline tells; return the tasks by id, None if it failed."""
        report = run_dags(
            self._home,
            self._environment,
            train=train,
            deploy={**PARAMS, **params},
            may_fail=may_fail,
            on_task=self._traffic.hurry_during("deploy_endpoint"),
        )
        if report is None:
            return None
        tasks = deployed(report)
        self.configs[tasks["create_endpoint_config"]["xcoms"]["return_value"]] = model
        timeline = tasks["deploy_endpoint"]["xcoms"].get("timeline", [])
        self.marks += marks_of(timeline, model, self._traffic.virtual)
        return tasks

    def _serving_config(self) -> str:
        described = self._aws.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
        return str(described["EndpointConfigName"]) if described["EndpointStatus"] == "InService" else ""

    def _begin(self, title: str) -> None:
        say(f"\n[bold]{title}[/]")

    def _end(self, ending: str) -> None:
        say(f"  [bold green]→[/] {ending}")
