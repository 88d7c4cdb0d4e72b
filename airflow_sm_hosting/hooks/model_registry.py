"""The model registry: model package groups and their versions, and the queue that its events come to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from tenacity import (
    Retrying,
    retry_if_exception,
    retry_if_result,
    stop_after_delay,
    wait_exponential_jitter,
)

from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.hooks.errors import is_package_absent, is_queue_absent, is_taken
from airflow_sm_hosting.hooks.sagemaker import CONSISTENT_AFTER
from airflow_sm_hosting.policies.document import merged

if TYPE_CHECKING:
    from types_boto3_sagemaker.client import SageMakerClient
    from types_boto3_sagemaker.type_defs import ModelPackageSummaryTypeDef

#: Maximum number of packages in one page of ListModelPackages, and in one BatchDescribeModelPackage (botocore).
MOST_PACKAGES = 100


class ModelRegistryHook(SharedClients):
    """Interact with the model registry of Amazon SageMaker.

    Provide thin wrapper around :external+boto3:py:class:`boto3.client("sagemaker") <SageMaker.Client>`: a package or a group that does
    not exist is described as None.

    .. seealso:: :class:`airflow_sm_hosting.hooks.clients.SharedClients` for the parameters.
    """

    conn: SageMakerClient

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "client_type": "sagemaker"})

    def describe_package(self, name: str) -> dict[str, Any] | None:
        """Return DescribeModelPackage's answer, or None when the package does not exist.

        :param name: ARN, ``<group>/<version>``, or the name of an unversioned package.
        """
        return self._described(self.conn.describe_model_package, ModelPackageName=name)

    def describe_group(self, name: str) -> dict[str, Any] | None:
        """Return DescribeModelPackageGroup's answer, or None when the group does not exist."""
        return self._described(self.conn.describe_model_package_group, ModelPackageGroupName=name)

    def newest_versions(
        self, group: str, *, approval: str | None = None
    ) -> Iterator[list[ModelPackageSummaryTypeDef]]:
        """Return the versions of a group page by page, the newest first; a page may be empty, and others follow.

        :param group: Name or ARN of the group.
        :param approval: Only versions with this approval status (default: all).
        """
        # API_ListModelPackages.html: "The default is Ascending", and the default type is Unversioned.
        request: dict[str, Any] = {
            "ModelPackageGroupName": group,
            "ModelPackageType": "Versioned",
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
            "PaginationConfig": {"PageSize": MOST_PACKAGES},
        }
        if approval:
            request["ModelApprovalStatus"] = approval
        pages = self.conn.get_paginator("list_model_packages").paginate(**request)
        for page in pages:
            yield sorted(
                page["ModelPackageSummaryList"],
                key=lambda one: one.get("ModelPackageVersion", 0),
                reverse=True,
            )

    def all_packages(self) -> Iterator[str]:
        """Return the ARNs of all packages of the account and Region, versions or not (``sagemaker:ListModelPackages``)."""
        pages = self.conn.get_paginator("list_model_packages").paginate(
            ModelPackageType="Both", PaginationConfig={"PageSize": MOST_PACKAGES}
        )
        for page in pages:
            yield from (row["ModelPackageArn"] for row in page["ModelPackageSummaryList"])

    def packages(self, arns: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return versions by ARN (BatchDescribeModelPackage); those that do not exist are absent.

        :param arns: 100 at most.
        :raises ClientError: When one of them is refused for another reason.
        """
        answer: Mapping[str, Any] = self.conn.batch_describe_model_package(ModelPackageArnList=list(arns))
        for arn, why in (answer.get("BatchDescribeModelPackageErrorMap") or {}).items():
            parsed: Any = {"Error": {"Code": why["ErrorCode"], "Message": f"{why['ErrorResponse']} ({arn})"}}
            error = ClientError(parsed, "BatchDescribeModelPackage")
            if not is_package_absent(error):
                raise error
        return dict(answer.get("ModelPackageSummaries") or {})

    def create_group(self, request: Mapping[str, Any]) -> bool:
        """Create a group; return False when there is one of this name (``sagemaker:CreateModelPackageGroup``)."""
        try:
            self.conn.create_model_package_group(**request)
        except ClientError as error:
            if is_taken(error):
                return False
            raise
        return True

    def grant(self, group: str, statements: Sequence[Mapping[str, Any]], sid: str) -> bool:
        """Give a group's policy our statements; those of others stay.

        API operations: GetModelPackageGroupPolicy, PutModelPackageGroupPolicy.

        :param group: Name of the group.
        :param statements: The statements.
        :param sid: Their id.
        :return: Whether the policy has changed.
        """
        try:
            answer = self.conn.get_model_package_group_policy(ModelPackageGroupName=group)
        except ClientError as error:
            # That a group without a policy is answered so is what AWS's handler of CloudFormation expects.
            if not is_package_absent(error):
                raise
            found = None
        else:
            found = json.loads(answer["ResourcePolicy"])
        wanted = merged(found, statements, sid)
        if wanted is None:
            return False
        self.conn.put_model_package_group_policy(
            ModelPackageGroupName=group, ResourcePolicy=json.dumps(wanted)
        )
        return True

    def create_package(self, request: Mapping[str, Any], *, is_new_group: bool) -> str:
        """Create a package, and return its ARN (``sagemaker:CreateModelPackage``).

        :param request: The request.
        :param is_new_group: Whether its group was just created: then SageMaker may not see the group for a while.
        """
        retrying = Retrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, ClientError) and is_package_absent(error)
            ),
            wait=wait_exponential_jitter(max=8),
            stop=stop_after_delay(CONSISTENT_AFTER if is_new_group else 0),
            reraise=True,
        )
        return str(retrying(lambda: self.conn.create_model_package(**request))["ModelPackageArn"])

    def update_package(self, request: Mapping[str, Any]) -> None:
        """Update a package (``sagemaker:UpdateModelPackage``)."""
        self.conn.update_model_package(**request)

    def until_listed(self, find: Callable[[], Any]) -> Any:
        """Return what is found, and retry for 20 s while it is None: a list may not show yet what was just created (assumed)."""
        retrying = Retrying(
            retry=retry_if_result(lambda found: found is None),
            wait=wait_exponential_jitter(max=8),
            stop=stop_after_delay(CONSISTENT_AFTER),
            retry_error_callback=lambda state: None,
        )
        return retrying(find)

    @staticmethod
    def _described(describe: Any, **name: str) -> dict[str, Any] | None:
        try:
            answer = describe(**name)
        except ClientError as error:
            if is_package_absent(error):
                return None
            raise
        return {member: value for member, value in answer.items() if member != "ResponseMetadata"}


class QueueHook(SharedClients):
    """Receive and delete messages of an Amazon SQS queue.

    Provide thin wrapper around :external+boto3:py:class:`boto3.client("sqs") <SQS.Client>`.

    .. seealso:: :class:`airflow_sm_hosting.hooks.clients.SharedClients` for the parameters.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "client_type": "sqs"})

    def url(self, queue: str) -> str | None:
        """Return the URL of a queue given by name or URL (``sqs:GetQueueUrl``); None when it does not exist."""
        if "://" in queue:
            return queue
        try:
            return str(self.conn.get_queue_url(QueueName=queue)["QueueUrl"])
        except ClientError as error:
            if is_queue_absent(error):
                return None
            raise

    def receive(self, url: str, *, wait: int) -> list[dict[str, Any]]:
        """Return up to 10 messages (``sqs:ReceiveMessage``).

        :param wait: Seconds that the call waits for a message, 20 at most (API_ReceiveMessage.html, WaitTimeSeconds).
        """
        answer = self.conn.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait)
        return list(answer.get("Messages") or [])

    def delete(self, url: str, messages: Sequence[Mapping[str, Any]]) -> list[str]:
        """Delete received messages, up to 10 (``sqs:DeleteMessage``); return why some were not deleted.

        A message that is not deleted comes again.
        """
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages)
        ]
        answer = self.conn.delete_message_batch(QueueUrl=url, Entries=entries)
        return [str(one.get("Message") or one["Code"]) for one in answer.get("Failed") or []]
