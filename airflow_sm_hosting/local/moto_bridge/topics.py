"""Topics of moto's SNS."""

from __future__ import annotations

from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID


def publish(topic_arn: str, subject: str | None, message: str) -> None:
    """Publish to an SNS topic.

    :raises Exception: moto's refusal.
    """
    # Not imported before it is needed: it brings SQS and Lambda.
    from moto.sns.models import sns_backends

    region = topic_arn.split(":")[3]
    sns_backends[ACCOUNT_ID][region].publish(message=message, arn=topic_arn, subject=subject)
