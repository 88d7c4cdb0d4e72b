"""The SageMaker Python SDK 3: a model is registered, approved, and deployed from its package."""

from __future__ import annotations

import json
import sys

from sagemaker.core.resources import Endpoint, EndpointConfig, Model, ModelPackage
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant
from sagemaker.serve import ModelBuilder

image, data, role = sys.argv[1:]


def registered(version: str) -> ModelPackage:
    # ModelPackage.create is not in it: in 3.27 it reads a member that CreateModelPackage does not return.
    builder = ModelBuilder(
        image_uri=image,
        s3_model_data_url=data,
        env_vars={"VERSION": version},
        role_arn=role,
        instance_type="ml.m5.large",
    )
    builder.build(model_name=f"m{version}")
    arn = builder.register(
        model_package_group_name="churn",
        content_types=["text/csv"],
        response_types=["application/json"],
        inference_instances=["ml.m5.large"],
        approval_status="PendingManualApproval",
    )
    return ModelPackage.get(model_package_name=arn)


def answer(package: ModelPackage, name: str) -> dict:
    Model.create(
        model_name=name,
        execution_role_arn=role,
        primary_container=ContainerDefinition(model_package_name=package.model_package_arn),
    )
    variant = ProductionVariant(
        variant_name="main", model_name=name, initial_instance_count=1, instance_type="ml.m5.large"
    )
    EndpointConfig.create(endpoint_config_name=name, production_variants=[variant])
    endpoint = Endpoint.create(endpoint_name=name, endpoint_config_name=name)
    endpoint.wait_for_status("InService", poll=1)
    return json.loads(endpoint.invoke(body=b"1,2", content_type="text/csv").body.read())


packages = [registered(version) for version in "12"]
try:
    answer(packages[0], "too-early")
    refusal = None
except Exception as error:
    refusal = f"{type(error).__name__}: {error}"
for package in packages:
    package.update(model_approval_status="Approved")
answers = [answer(package, f"e{number}") for number, package in enumerate(packages)]
arns = [package.model_package_arn for package in packages]
print("RESULT" + json.dumps({"answers": answers, "refusal": refusal, "arns": arns}))
