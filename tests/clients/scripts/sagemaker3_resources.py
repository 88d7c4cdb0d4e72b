"""The SageMaker Python SDK 3: its resource classes."""

from __future__ import annotations

import json
import sys

from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant

image, data, role = sys.argv[1:]


def config(version):
    Model.create(
        model_name=f"m{version}",
        execution_role_arn=role,
        primary_container=ContainerDefinition(
            image=image, model_data_url=data, environment={"VERSION": version}
        ),
    )
    variant = ProductionVariant(
        variant_name="main", model_name=f"m{version}", initial_instance_count=1, instance_type="ml.m5.large"
    )
    return EndpointConfig.create(endpoint_config_name=f"c{version}", production_variants=[variant])


def answer(endpoint):
    return json.loads(endpoint.invoke(body=b"1,2", content_type="text/csv").body.read())


def left():
    return [len(list(kind.get_all())) for kind in (Endpoint, EndpointConfig, Model)]


endpoint = Endpoint.create(endpoint_name="e", endpoint_config_name=config("1"))
endpoint.wait_for_status("InService", poll=1)
answers = [answer(endpoint)]
endpoint.endpoint_config_name = config("2").endpoint_config_name
endpoint.update()
endpoint.wait_for_status("InService", poll=1)
answers.append(answer(endpoint))
before = left()
listed = [one.endpoint_name for one in Endpoint.get_all()]
endpoint.delete()
endpoint.wait_for_delete(poll=1)
for version in "12":
    EndpointConfig.get(f"c{version}").delete()
    Model.get(f"m{version}").delete()
print("RESULT" + json.dumps({"answers": answers, "listed": listed, "before": before, "left": left()}))
