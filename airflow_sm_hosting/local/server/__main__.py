"""Run the server: ``python -m airflow_sm_hosting.local.server``."""

from __future__ import annotations

from airflow_sm_hosting.local.server.main import main

if __name__ == "__main__":
    main()
