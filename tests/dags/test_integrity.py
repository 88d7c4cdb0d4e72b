"""The DAG files as Airflow's DAG processor sees them. Copy this file for your own DAGs, and change the line marked with ``#:``.

Needs no database, no AWS and no Docker: DAG files must not either.
"""

from __future__ import annotations

from pathlib import Path

from airflow_sm_hosting.testing import HEAVY, assert_dag_integrity

#: Where the DAG files are.
DAGS = Path(__file__).parent.parent.parent / "dags"


def test_the_dag_files_keep_the_rules() -> None:
    # The provider's modules import boto3, which costs each parse most.
    assert_dag_integrity(DAGS, heavy={*HEAVY, "airflow.providers.amazon.aws"})
