"""The SageMaker Python SDK 2: real-time, serverless, asynchronous and multi-model endpoints, and their predictors."""

from __future__ import annotations

import json
import sys

import sagemaker
from sagemaker.async_inference import AsyncInferenceConfig, WaiterConfig
from sagemaker.deserializers import JSONDeserializer
from sagemaker.model import Model
from sagemaker.multidatamodel import MultiDataModel
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer
from sagemaker.serverless import ServerlessInferenceConfig

image, data, role = sys.argv[1:]
# Without a bucket, it asks STS for the account, at an address that no setting changes.
bucket = data.split("/")[2]
session = sagemaker.Session(default_bucket=bucket)


def model(version: str, role: str = role) -> Model:
    return Model(
        image_uri=image,
        model_data=data,
        role=role,
        env={"VERSION": version},
        name=f"m{version}",
        predictor_cls=Predictor,
        sagemaker_session=session,
    )


def deployed(version: str, name: str, **how):
    # Its own wait asks every 30 seconds.
    predictor = model(version).deploy(
        endpoint_name=name,
        serializer=CSVSerializer(),
        deserializer=JSONDeserializer(),
        wait=False,
        **how,
    )
    session.wait_for_endpoint(name, poll=1)
    return predictor


ON_INSTANCES = {"initial_instance_count": 1, "instance_type": "ml.m5.large"}

predictor = deployed("1", "e", **ON_INSTANCES)
answers = [predictor.predict([1, 2])]
second = model("2")
second.create(instance_type="ml.m5.large")
predictor.update_endpoint(model_name="m2", tags=[{"Key": "team", "Value": "a"}], wait=False, **ON_INSTANCES)
session.wait_for_endpoint("e", poll=1)
answers.append(predictor.predict([1, 2]))

serverless = deployed("3", "serverless", serverless_inference_config=ServerlessInferenceConfig())
asynchronous = deployed(
    "4",
    "asynchronous",
    async_inference_config=AsyncInferenceConfig(output_path=f"s3://{bucket}/out"),
    **ON_INSTANCES,
)
later = {
    "serverless": serverless.predict([3])["body"],
    # A thread of its waits for an object with an error to the end, also where there is an answer.
    "asynchronous": asynchronous.predict([4], waiter_config=WaiterConfig(max_attempts=10, delay=1))["body"],
}

several = MultiDataModel(
    name="several",
    model_data_prefix=f"s3://{bucket}/several/",
    image_uri=image,
    role=role,
    sagemaker_session=session,
)
several.add_model(data, "a.tar.gz")
of_several = several.deploy(
    endpoint_name="several",
    serializer=CSVSerializer(),
    deserializer=JSONDeserializer(),
    wait=False,
    **ON_INSTANCES,
)
session.wait_for_endpoint("several", poll=1)
of_several = Predictor("several", session, CSVSerializer(), JSONDeserializer())
later["several"] = of_several.predict([5], target_model="a.tar.gz")["files"]

try:
    model("5", role + "-absent").create(instance_type="ml.m5.large")
    refusal = None
except Exception as error:
    refusal = f"{type(error).__name__}: {error}"

client = session.sagemaker_client
for one in (predictor, serverless, asynchronous, of_several):
    # With its endpoint config.
    one.delete_endpoint()
left = [
    one["EndpointName"] for one in client.list_endpoints()["Endpoints"] if one["EndpointStatus"] != "Deleting"
]
print("RESULT" + json.dumps({"answers": answers, "later": later, "refusal": refusal, "left": left}))
