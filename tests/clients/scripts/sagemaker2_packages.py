"""The SageMaker Python SDK 2: a model is registered, approved, and deployed as a package."""

from __future__ import annotations

import json
import sys

import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.model import Model, ModelPackage
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer

image, data, role = sys.argv[1:]
session = sagemaker.Session(default_bucket=data.split("/")[2])
client = session.sagemaker_client


def registered(version: str) -> str:
    model = Model(
        image_uri=image, model_data=data, role=role, env={"VERSION": version}, sagemaker_session=session
    )
    package = model.register(
        content_types=["text/csv"],
        response_types=["application/json"],
        inference_instances=["ml.m5.large"],
        model_package_group_name="churn",
        approval_status="PendingManualApproval",
    )
    return package.model_package_arn


def answer(arn: str, name: str) -> dict:
    package = ModelPackage(
        role=role, model_package_arn=arn, predictor_cls=Predictor, sagemaker_session=session
    )
    package.deploy(initial_instance_count=1, instance_type="ml.m5.large", endpoint_name=name, wait=False)
    session.wait_for_endpoint(name, poll=1)
    return Predictor(name, session, CSVSerializer(), JSONDeserializer()).predict([1, 2])


arns = [registered(version) for version in "12"]
client.update_model_package(ModelPackageArn=arns[0], ModelApprovalStatus="Approved")
# What nobody has approved, its deploy approves.
answers = [answer(arn, f"e{number}") for number, arn in enumerate(arns)]
statuses = [client.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"] for arn in arns]
print("RESULT" + json.dumps({"answers": answers, "arns": arns, "statuses": statuses}))
