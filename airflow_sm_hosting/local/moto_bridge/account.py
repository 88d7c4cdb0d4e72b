"""The account of this server."""

from __future__ import annotations

from moto.core.models import DEFAULT_ACCOUNT_ID

ACCOUNT_ID: str = DEFAULT_ACCOUNT_ID
