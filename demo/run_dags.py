"""Run the example DAGs once through Airflow, and write down what they did (a child process of demo.py)."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).parent.parent / "dags"


def main() -> None:
    """Train, then deploy what was trained."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--train", type=json.loads, required=True, help="run conf of train_model, JSON")
    parser.add_argument(
        "--deploy", type=json.loads, required=True, help="run conf of retrain_and_deploy, JSON"
    )
    parser.add_argument("--report", type=Path, required=True, help="file for the results")
    options = parser.parse_args()

    bag = _read_dags()
    if bag.import_errors:
        raise SystemExit(f"The DAG files do not import: {bag.import_errors}")
    report = {}
    for dag_id, conf in (("train_model", options.train), ("retrain_and_deploy", options.deploy)):
        # No logical date, as in a run that an asset event starts.
        run = bag.dags[dag_id].test(logical_date=None, run_conf=conf)
        report[dag_id] = {"state": str(run.state), "tasks": [_told(ti) for ti in run.get_task_instances()]}
        options.report.write_text(json.dumps(report, indent=1, default=str))
        if run.state != "success":
            raise SystemExit(f"{dag_id} ended as {run.state}")


def _read_dags() -> DagBag:
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag  # type: ignore[no-redef]

    # DAG files import from the folder of their bundle.
    sys.path.append(str(DAGS))
    return DagBag(DAGS, bundle_path=DAGS, safe_mode=False)


def _told(ti: Any) -> dict[str, Any]:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = session.scalars(
            select(XComModel).where(
                XComModel.dag_id == ti.dag_id, XComModel.run_id == ti.run_id, XComModel.task_id == ti.task_id
            )
        )
        xcoms = {row.key: XComModel.deserialize_value(row) for row in rows}
    return {
        "task_id": ti.task_id,
        "state": str(ti.state),
        "start": ti.start_date.timestamp() if ti.start_date else None,
        "end": ti.end_date.timestamp() if ti.end_date else None,
        "xcoms": xcoms,
    }


if __name__ == "__main__":
    main()
