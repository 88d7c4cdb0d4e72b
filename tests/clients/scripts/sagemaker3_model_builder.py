"""The SageMaker Python SDK 3: its model builder."""

from __future__ import annotations

import json
import sys

from sagemaker.core.resources import EndpointConfig
from sagemaker.serve import ModelBuilder

image, data, role = sys.argv[1:]


def build(version):
    builder = ModelBuilder(
        image_uri=image,
        s3_model_data_url=data,
        env_vars={"VERSION": version},
        role_arn=role,
        instance_type="ml.m5.large",
    )
    return builder, builder.build(model_name=f"m{version}")


def answer(endpoint):
    return json.loads(endpoint.invoke(body=b"1,2", content_type="text/csv").body.read())


builder, first = build("1")
endpoint = builder.deploy(endpoint_name="e", initial_instance_count=1)
answers = [answer(endpoint)]

_, second = build("2")
variant = EndpointConfig.get("e").production_variants[0]
variant.model_name = second.model_name
endpoint.endpoint_config_name = EndpointConfig.create(
    endpoint_config_name="e-2", production_variants=[variant]
).endpoint_config_name
endpoint.update()
endpoint.wait_for_status("InService", poll=1)
answers.append(answer(endpoint))
endpoint.delete()
endpoint.wait_for_delete(poll=1)
for one in (EndpointConfig.get("e"), EndpointConfig.get("e-2"), first, second):
    one.delete()

role = role + "-absent"
try:
    build("3")
except Exception as error:
    refusal = f"{type(error).__name__}: {error}"
print("RESULT" + json.dumps({"answers": answers, "refusal": refusal}))
