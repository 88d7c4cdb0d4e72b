"""Airflow tasks that deploy machine-learning models to Amazon SageMaker hosting."""

from __future__ import annotations

__version__ = "0.1.0"
