"""The SageMaker Python SDK 2: the predictor of each family of AWS's images."""

from __future__ import annotations

import json
import sys

import numpy
import sagemaker
from sagemaker.deserializers import CSVDeserializer, StreamDeserializer
from sagemaker.djl_inference import DJLPredictor
from sagemaker.huggingface import HuggingFacePredictor
from sagemaker.predictor import Predictor
from sagemaker.pytorch import PyTorchPredictor
from sagemaker.serializers import CSVSerializer, JSONSerializer
from sagemaker.sklearn import SKLearnPredictor
from sagemaker.tensorflow import TensorFlowPredictor
from sagemaker.xgboost import XGBoostPredictor

names = json.loads(sys.argv[1])
session = sagemaker.Session()
rows = numpy.array([[1.0, 2.0], [3.0, 4.0]])


def predictor(kind, family, **more):
    return kind(names[family], sagemaker_session=session, **more)


xgboost = predictor(XGBoostPredictor, "xgboost", serializer=CSVSerializer(), deserializer=CSVDeserializer())
question = {"question": "Who was it?", "context": "It was Ann"}
parts = predictor(
    Predictor, "tgi", serializer=JSONSerializer(), deserializer=StreamDeserializer()
).predict_stream({"inputs": "Hello", "parameters": {"max_new_tokens": 3}, "stream": True})
print(
    "RESULT"
    + json.dumps(
        {
            "sklearn": predictor(SKLearnPredictor, "sklearn").predict(rows).shape,
            "pytorch": predictor(PyTorchPredictor, "pytorch").predict(rows).shape,
            "xgboost": xgboost.predict(rows),
            "tensorflow": predictor(TensorFlowPredictor, "tensorflow").predict({"instances": rows.tolist()}),
            "huggingface": predictor(HuggingFacePredictor, "huggingface").predict({"inputs": question}),
            "tgi": predictor(HuggingFacePredictor, "tgi").predict(
                {"inputs": "Hello", "parameters": {"max_new_tokens": 3}}
            ),
            "tei": predictor(HuggingFacePredictor, "tei").predict({"inputs": ["a", "b"]}),
            "lmi": predictor(DJLPredictor, "lmi").predict(
                {"inputs": "Hello", "parameters": {"max_new_tokens": 3}}
            ),
            "stream": b"".join(parts).decode(),
        }
    )
)
