"""Waiting for what others do."""

from __future__ import annotations

from airflow_sm_hosting.sensors.endpoint import EndpointInServiceSensor
from airflow_sm_hosting.sensors.endpoint_drift import EndpointDriftSensor
from airflow_sm_hosting.sensors.inference_component import InferenceComponentInServiceSensor
from airflow_sm_hosting.sensors.model_package import ModelPackageApprovedSensor

__all__ = [
    "EndpointDriftSensor",
    "EndpointInServiceSensor",
    "InferenceComponentInServiceSensor",
    "ModelPackageApprovedSensor",
]
