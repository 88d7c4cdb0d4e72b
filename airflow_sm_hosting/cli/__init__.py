"""The command ``sm-hosting``."""

from __future__ import annotations

from airflow_sm_hosting.cli.application import main

__all__ = ["main"]
