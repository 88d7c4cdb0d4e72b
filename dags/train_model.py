"""Train a small model on a real data set, write its artifact, and say so with an asset event.

The event carries the place of the artifact and its quality; the DAG ``retrain_and_deploy`` is scheduled on it.
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, Asset, Metadata, Param, task

MODEL = Asset("breast_cancer_model")

with DAG(
    "train_model",
    description="Train a tumour classifier, and emit an asset event for its artifact.",
    doc_md=__doc__,
    schedule="@weekly",
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    tags=["sm-hosting", "example"],
    params={
        "seed": Param(7, type="integer", minimum=0, title="Seed", description="Splits the data."),
        "holdout": Param(
            0.25,
            type="number",
            minimum=0.1,
            maximum=0.5,
            title="Holdout",
            description="Share of the rows that are used for testing and not for training.",
        ),
        "members": Param(
            1,
            type="integer",
            minimum=1,
            maximum=10000,
            title="Members",
            description="Regressions whose probabilities are averaged, each fitted to a sample of the rows. Each one takes time to serve.",
        ),
        "model_store": Param(
            None,
            type=["null", "string"],
            title="Model store",
            description="Folder that both DAGs can access (default: $MODEL_STORE, else $AIRFLOW_HOME/models).",
        ),
    },
) as dag:

    @task(outlets=[MODEL])
    def train(params=None, dag_run=None):
        """Fit, test, write, announce."""
        import json
        import os
        from pathlib import Path

        from sklearn.datasets import load_breast_cancer
        from sklearn.ensemble import BaggingClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        data = load_breast_cancer()
        labels = [str(name) for name in data.target_names]
        x_train, x_test, y_train, y_test = train_test_split(
            data.data,
            data.target,
            test_size=params["holdout"],
            random_state=params["seed"],
            stratify=data.target,
        )
        members = params["members"]
        ensemble = BaggingClassifier(
            LogisticRegression(solver="liblinear"),
            n_estimators=members,
            bootstrap=members > 1,
            random_state=params["seed"],
        )
        pipeline = make_pipeline(StandardScaler(), ensemble)
        pipeline.fit(x_train, y_train)
        accuracy = float(pipeline.score(x_test, y_test))
        scaler, regressions = pipeline[0], pipeline[1].estimators_

        store = params["model_store"] or os.environ.get("MODEL_STORE")
        root = Path(store) if store else Path(os.environ["AIRFLOW_HOME"]) / "models"
        # The run's due time is defined in every kind of run; a run id has characters that paths and names do not take.
        folder = root / "breast_cancer" / dag_run.run_after.strftime("%Y%m%dT%H%M%S%f")
        folder.mkdir(parents=True, exist_ok=True)
        model = {
            "features": [str(name) for name in data.feature_names],
            "labels": labels,
            "mean": scaler.mean_.round(9).tolist(),
            "scale": scaler.scale_.round(9).tolist(),
            "members": [
                {
                    "weights": one.coef_[0].round(9).tolist(),
                    "intercept": round(float(one.intercept_[0]), 9),
                }
                for one in regressions
            ],
        }
        (folder / "model.json").write_text(
            json.dumps(model, indent=None if members > 1 else 1, sort_keys=True)
        )

        rows = x_test[:8]
        yield Metadata(
            MODEL,
            {
                "path": str(folder),
                "accuracy": round(accuracy, 4),
                "samples": {
                    "rows": rows.tolist(),
                    "truth": [labels[index] for index in y_test[:8]],
                    "predicted": [labels[index] for index in pipeline.predict(rows)],
                },
            },
        )

    train()
