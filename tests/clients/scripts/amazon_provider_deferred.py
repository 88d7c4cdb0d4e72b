"""The Amazon provider: an operator that defers, and its trigger.

A task is run as worker and triggerer do: the trigger and the keyword arguments go through JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerEndpointOperator
from airflow.providers.common.compat.sdk import TaskDeferred


async def first_event(trigger):
    async for event in trigger.run():
        return event.payload
    return None


def run(operation, config):
    deploy = SageMakerEndpointOperator(
        task_id="deploy", config=config, operation=operation, check_interval=1, deferrable=True
    )
    try:
        deploy.execute({})
    except TaskDeferred as deferred:
        _, arguments = deferred.trigger.serialize()
        again = type(deferred.trigger)(**json.loads(json.dumps(arguments)))
        event = asyncio.run(first_event(again))
        return deploy.resume_execution(deferred.method_name, {**(deferred.kwargs or {}), "event": event}, {})
    raise AssertionError("it did not defer")


results = []
for operation, config in json.loads(sys.argv[1]):
    try:
        results.append(run(operation, config)["Endpoint"])
    except Exception as error:
        results.append({"error": type(error).__name__, "said": str(error)})
print("RESULT" + json.dumps(results))
