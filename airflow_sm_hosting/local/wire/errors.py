"""The refusal of a request by an AWS service."""

from __future__ import annotations

from typing import Any


class AwsError(Exception):
    """A refusal by an AWS service; :mod:`airflow_sm_hosting.local.wire.refusals` writes it in the protocol of the request.

    :param code: Error code: ``ValidationException``.
    :param message: The service's sentence.
    :param status: HTTP status.
    :param details: More members of the error's body.
    """

    def __init__(self, code: str, message: str, *, status: int = 400, details: dict[str, Any] | None = None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.details = details or {}
