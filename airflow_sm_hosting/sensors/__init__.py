"""Waiting for what others do."""

from __future__ import annotations

from airflow_sm_hosting.sensors.endpoint import EndpointInServiceSensor

__all__ = ["EndpointInServiceSensor"]
