"""A local AWS that enforces IAM, and an IAM user that has exactly the policy that a test gives it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.client.control import connection_of
from tests.operators.conftest import aws, dag

__all__ = ["aws", "dag"]

USER = "worker"
#: Shared, as each session reads the models of the services anew.
_SESSION = boto3.Session()


class Worker:
    """An IAM user of a local AWS.

    :param aws: The local AWS.
    """

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self._iam = aws.client("iam")
        self._iam.create_user(UserName=USER)
        self.key: dict[str, str] = self._iam.create_access_key(UserName=USER)["AccessKey"]
        self.arn = f"arn:aws:iam::{aws.account_id}:user/{USER}"
        self._policies = 0

    def allow(self, *documents: dict[str, Any]) -> None:
        """Give the user these policies, and no others."""
        for number in range(len(documents), self._policies):
            self._iam.delete_user_policy(UserName=USER, PolicyName=f"policy-{number}")
        for number, document in enumerate(documents):
            self._iam.put_user_policy(
                UserName=USER, PolicyName=f"policy-{number}", PolicyDocument=json.dumps(document)
            )
        self._policies = len(documents)

    def allow_only(self, actions: Any, resources: Any = "*", **condition: Any) -> None:
        """Give the user a policy of one statement."""
        # IAM refuses a statement without actions; this one needs no permission.
        actions = actions or "sts:GetCallerIdentity"
        statement = {"Effect": "Allow", "Action": actions, "Resource": resources}
        if condition:
            statement["Condition"] = {operator: {key: value} for operator, (key, value) in condition.items()}
        self.allow({"Version": "2012-10-17", "Statement": [statement]})

    def client(self, service: str) -> Any:
        """Return a client under the user's key."""
        return _SESSION.client(  # type: ignore[call-overload]
            service,
            region_name=self.aws.region_name,
            endpoint_url=self.aws.endpoint_url,
            aws_access_key_id=self.key["AccessKeyId"],
            aws_secret_access_key=self.key["SecretAccessKey"],
            config=Config(proxies={}, retries={"max_attempts": 0}),
        )

    def connection(self) -> dict[str, Any]:
        """Return the Airflow connection under the user's key."""
        return connection_of(self.aws.endpoint_url, self.key["AccessKeyId"], self.aws.region_name)

    def denied(self) -> list[str]:
        """Return the actions that were denied since IAM is enforced."""
        return [one["action"] for one in self.aws.iam_decisions() if not one["allowed"]]


@pytest.fixture
def worker(aws: LocalAws) -> Iterator[Worker]:
    """A user without any permission, in an empty local AWS that enforces IAM."""
    user = Worker(aws)
    aws.enforce_iam()
    yield user
    aws.enforce_iam(False)
