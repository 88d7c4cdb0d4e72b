"""The fixtures of the operators' tests: a local AWS and a DAG."""

from __future__ import annotations

from tests.operators.conftest import aws as aws, dag as dag
