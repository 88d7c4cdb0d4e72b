"""Compare two models on one endpoint, and promote the winner.

Champion and challenger are variants of the endpoint, and both models exist already. The challenger gets a part of the traffic, and both are
sent the same sample requests, so that an endpoint with few users is judged, too. The winner gets all traffic, and then an endpoint
config of its own. If anything fails meanwhile, the traffic becomes what it was.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param, XComArg, task

from airflow_sm_hosting import (
    CreateEndpointConfigOperator,
    DeployEndpointOperator,
    EndpointMetric,
    InstanceProductionVariant,
    InvokeEndpointOperator,
    ShiftTrafficOperator,
    get_metric,
)

CHAMPION, CHALLENGER = "champion", "challenger"


def judge(endpoint_name: str, variant: str) -> dict:
    """Return what speaks against a variant: its part of failed requests, and its latency in microseconds."""

    def total(metric: EndpointMetric) -> float:
        points = get_metric(
            metric, endpoint_name=endpoint_name, variant_name=variant, lookback=timedelta(hours=1)
        )
        return sum(point["value"] for point in points)

    requests = total(EndpointMetric.invocations(period=60))
    if not requests:
        raise ValueError(f"There are no metrics of variant {variant} yet.")
    return {
        "errors": total(EndpointMetric.invocation_5xx_errors(period=60)) / requests,
        "latency": total(EndpointMetric.model_latency(period=60, statistic="Sum")) / requests,
    }


with DAG(
    "ab_test",
    description="Compare two models on one endpoint, and promote the winner.",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    tags=["sm-hosting", "example"],
    params={
        "endpoint_name": Param("ab-test", type="string", title="Endpoint"),
        "champion_model": Param("model-a", type="string", title="Model that serves"),
        "challenger_model": Param("model-b", type="string", title="New model"),
        "instance_type": Param("ml.m5.large", type="string", title="Instance type"),
        "challenger_weight": Param(1, type="number", minimum=0, title="Weight of the challenger, beside 9"),
        "slower": Param(
            1.2, type="number", title="How many times slower than the champion the challenger may be"
        ),
        "poll_interval": Param(10, type="number", minimum=0.1, title="Seconds between two polls"),
    },
) as dag:
    both = CreateEndpointConfigOperator(
        task_id="create_config_of_both",
        endpoint_config_name="{{ params.endpoint_name }}",
        production_variants=[
            InstanceProductionVariant(
                variant_name=variant,
                model_name=f"{{{{ params.{variant}_model }}}}",
                instance_type="{{ params.instance_type }}",
                initial_variant_weight=weight,
            )
            for variant, weight in ((CHAMPION, 1.0), (CHALLENGER, 0.0))
        ],
    )
    deploy = DeployEndpointOperator(
        task_id="deploy_both",
        endpoint_name="{{ params.endpoint_name }}",
        endpoint_config_name=both.output,
        poll_interval="{{ params.poll_interval }}",
    )
    shift = ShiftTrafficOperator(
        task_id="shift",
        endpoint_name=deploy.output,
        weights={CHAMPION: 9, CHALLENGER: "{{ params.challenger_weight }}"},
        poll_interval="{{ params.poll_interval }}",
    )
    asked = [
        InvokeEndpointOperator(
            task_id=f"ask_{variant}",
            endpoint_name=shift.output,
            requests_file="sample_requests.jsonl",
            target_variant=variant,
        )
        for variant in (CHAMPION, CHALLENGER)
    ]

    # Metrics come a minute or two after the requests.
    @task(multiple_outputs=True, retries=5, retry_delay=timedelta(minutes=1))
    def choose(params=None) -> dict:
        """Choose the challenger if it fails no more often, and is not much slower."""
        champion, challenger = (judge(params["endpoint_name"], one) for one in (CHAMPION, CHALLENGER))
        is_good = (
            challenger["errors"] <= champion["errors"]
            and challenger["latency"] <= params["slower"] * champion["latency"]
        )
        winner, loser = (CHALLENGER, CHAMPION) if is_good else (CHAMPION, CHALLENGER)
        return {"winner": winner, "weights": {winner: 1, loser: 0}, "model": params[f"{winner}_model"]}

    chosen = choose()
    asked >> chosen

    all_to_the_winner = ShiftTrafficOperator(
        task_id="all_to_the_winner",
        endpoint_name=shift.output,
        weights=chosen["weights"],
        poll_interval="{{ params.poll_interval }}",
    )
    alone = CreateEndpointConfigOperator(
        task_id="create_config_of_the_winner",
        endpoint_config_name="{{ params.endpoint_name }}",
        production_variants=[
            InstanceProductionVariant(
                variant_name=chosen["winner"],
                model_name=chosen["model"],
                instance_type="{{ params.instance_type }}",
            )
        ],
    )
    promote = DeployEndpointOperator(
        task_id="promote",
        endpoint_name=all_to_the_winner.output,
        endpoint_config_name=alone.output,
        poll_interval="{{ params.poll_interval }}",
    )
    undo = ShiftTrafficOperator(
        task_id="undo",
        endpoint_name="{{ params.endpoint_name }}",
        undo=XComArg(shift, key="details"),
        poll_interval="{{ params.poll_interval }}",
        trigger_rule="one_failed",
    )
    [*asked, all_to_the_winner] >> undo
