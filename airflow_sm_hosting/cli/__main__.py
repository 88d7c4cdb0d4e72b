"""``python -m airflow_sm_hosting.cli``."""

from __future__ import annotations

import sys

from airflow_sm_hosting.cli.application import main

if __name__ == "__main__":
    sys.exit(main())
