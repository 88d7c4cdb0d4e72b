"""botocore's models of services and the shapes of their requests."""

from __future__ import annotations

import gc
import os
from functools import lru_cache

from botocore.model import ServiceModel, StructureShape

from airflow_sm_hosting.service_model.loader import service_loader


@lru_cache(maxsize=16)
def service_model(service: str) -> ServiceModel:
    """Return botocore's model of a service (``sagemaker``, ``cloudwatch``, …), loaded once per process."""
    # Parsing 2 MB of JSON makes the collector walk the whole heap of Airflow again and again.
    enabled = gc.isenabled()
    gc.disable()
    try:
        loaded = service_loader(os.environ.get("AWS_DATA_PATH")).load_service_model(service, "service-2")
        return ServiceModel(loaded, service_name=service)
    finally:
        if enabled:
            gc.enable()


def input_shape(service: str, operation: str) -> StructureShape:
    """Return the shape of an operation's request, e.g. ``input_shape("sagemaker", "CreateModel")``.

    :raises ValueError: When the operation takes no request.
    """
    shape = service_model(service).operation_model(operation).input_shape
    if shape is None:
        raise ValueError(f"{operation} of {service} takes no request")
    return shape
