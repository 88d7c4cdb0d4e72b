"""Tell what each deployment has changed.

Every task that changes an endpoint emits an asset event under the alias ``sagemaker-endpoints``. The events start this DAG, whichever DAG
has deployed, and it says which endpoint changed, from which config to which, and who started that. Put your own steps in the place of the
log: load-test the new config, refresh a catalogue, post the text to a chat.
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, AssetAlias, task

ENDPOINTS = AssetAlias("sagemaker-endpoints")

with DAG(
    "follow_deployments",
    description="Tell what each deployment has changed.",
    doc_md=__doc__,
    schedule=[ENDPOINTS],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["sm-hosting", "example"],
) as dag:

    @task
    def tell(triggering_asset_events=None) -> list:
        """Log one message for each event, and return what changed."""
        import logging

        from airflow_sm_hosting.notifications import event_message

        log = logging.getLogger("airflow.task")
        changes = []
        # Several deployments may have ended before this run began.
        for event in triggering_asset_events[ENDPOINTS] if triggering_asset_events else ():
            log.info("%s", event_message(event))
            changes.append(
                {
                    "endpoint": f"{event.extra['region']}/{event.extra['name']}",
                    "action": event.extra["action"],
                    "from": event.extra.get("previous_endpoint_config_name"),
                    "to": event.extra.get("endpoint_config_name"),
                }
            )
        return changes

    tell()
