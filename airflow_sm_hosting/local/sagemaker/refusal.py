"""SageMaker's refusal: one error code for nearly everything."""

from __future__ import annotations

from typing import NoReturn

from airflow_sm_hosting.local.wire.errors import AwsError


def refuse(message: str) -> NoReturn:
    """Refuse a request with a ``ValidationException``."""
    raise AwsError("ValidationException", message)
