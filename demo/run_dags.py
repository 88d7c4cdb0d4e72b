"""Run the example DAGs once through Airflow, and write down what they did (a child process of demo.py)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).parent.parent / "dags"


def main() -> None:
    """Train if asked to, then deploy what was trained."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--train", type=json.loads, help="run conf of train_model, JSON (default: it is not run)"
    )
    parser.add_argument(
        "--deploy", type=json.loads, required=True, help="run conf of retrain_and_deploy, JSON"
    )
    parser.add_argument(
        "--dated",
        action="store_true",
        help="give each run a logical date (default: none, as in a run that an asset event starts)",
    )
    parser.add_argument("--report", type=Path, required=True, help="file for the results")
    options = parser.parse_args()

    bag = _read_dags()
    if bag.import_errors:
        raise SystemExit(f"The DAG files do not import: {bag.import_errors}")
    confs = {"train_model": options.train, "retrain_and_deploy": options.deploy}
    report = {}
    with _hidden_from_schedulers(list(confs)):
        for dag_id, conf in confs.items():
            if conf is None:
                continue
            # Without a date, dag.test clears the tasks of all earlier runs of the DAG, and deletes one run that has none either.
            date = datetime.now(UTC) if options.dated else None
            run = bag.dags[dag_id].test(logical_date=date, run_conf=conf)
            report[dag_id] = {
                "state": str(run.state),
                "tasks": [_told(ti) for ti in run.get_task_instances()],
            }
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


@contextmanager
def _hidden_from_schedulers(dag_ids: Sequence[str]) -> Iterator[None]:
    """Pause DAGs while the block runs them, and fail what an interrupted demo has left running.

    To a scheduler, such as that of ``make ui``, a run of ``dag.test`` is like any other (``DagRun.get_running_dag_runs_to_examine``): of
    a DAG that is not paused it runs the same tasks once more, and for the asset event of the training it starts a run of its own.
    """
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        # One that the database does not have yet is made paused.
        active = [
            dag
            for dag in session.scalars(select(DagModel).where(DagModel.dag_id.in_(dag_ids)))
            if not dag.is_paused
        ]
        for dag in active:
            dag.is_paused = True
        names = [dag.dag_id for dag in active]
    _fail_interrupted_runs(dag_ids)
    try:
        yield
    finally:
        _fail_interrupted_runs(dag_ids)
        with create_session() as session:
            for dag in session.scalars(select(DagModel).where(DagModel.dag_id.in_(names))):
                dag.is_paused = False


def _fail_interrupted_runs(dag_ids: Sequence[str]) -> None:
    """Fail runs of ``dag.test`` that have no end: nothing runs them any more, and a scheduler would take them up."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy import select

    with create_session() as session:
        interrupted = session.scalars(
            select(DagRun).where(
                DagRun.dag_id.in_(dag_ids),
                DagRun.triggered_by == DagRunTriggeredByType.TEST,
                DagRun.state.in_(["queued", "running"]),
            )
        )
        for run in interrupted:
            for instance in run.get_task_instances(session=session):
                if instance.state is not None and not instance.end_date:
                    instance.state = "failed"
            run.set_state(DagRunState.FAILED)


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
