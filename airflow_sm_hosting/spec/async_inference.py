"""Asynchronous inference of an endpoint config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from airflow_sm_hosting.spec.checks import check_kms_key
from airflow_sm_hosting.spec.shape import Shape, Whole, choice, s3_uri, some, text
from airflow_sm_hosting.spec.templated import RenderedLater, TemplatedInt, TemplatedStr

NotifiedTopic: TypeAlias = Literal["SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"]

#: botocore, SnsTopicArn.
_TOPIC = text(
    r"arn:aws[a-z\-]*:sns:[a-z0-9\-]*:[0-9]{12}:[a-zA-Z0-9_.-]+",
    2048,
    "the ARN of an SNS topic: 'arn:aws:sns:<region>:<account>:<topic>'",
)

#: All limits: botocore, AsyncInferenceConfig.
ASYNC_INFERENCE = Shape(
    "AsyncInferenceConfig",
    {
        "s3_output_path": ("OutputConfig.S3OutputPath", s3_uri()),
        "s3_failure_path": ("OutputConfig.S3FailurePath", s3_uri()),
        "kms_key_id": ("OutputConfig.KmsKeyId", check_kms_key),
        "success_topic": ("OutputConfig.NotificationConfig.SuccessTopic", _TOPIC),
        "error_topic": ("OutputConfig.NotificationConfig.ErrorTopic", _TOPIC),
        "include_inference_response_in": (
            "OutputConfig.NotificationConfig.IncludeInferenceResponseIn",
            some(choice("SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"), 2, 0),
        ),
        "max_concurrent_invocations_per_instance": (
            "ClientConfig.MaxConcurrentInvocationsPerInstance",
            Whole(1, 1000),
        ),
    },
)


class AsyncInference(dict[str, Any]):
    """Where an asynchronous endpoint writes its answers, in the shape of ``AsyncInferenceConfig``.

    The whole endpoint is asynchronous then, with one instance variant and without a shadow variant.

    :param s3_output_path: ``s3://`` prefix of the answers, 512 characters at most. (templated)
    :param s3_failure_path: ``s3://`` prefix of the answers to requests that failed (default: none). (templated)
    :param kms_key_id: Key of the answers, as id, alias or ARN (default: none). (templated)
    :param success_topic: ARN of the SNS topic that is told of each answer (default: none). (templated)
    :param error_topic: ARN of the SNS topic that is told of each failure (default: none). (templated)
    :param include_inference_response_in: ``"SUCCESS_NOTIFICATION_TOPIC"`` and ``"ERROR_NOTIFICATION_TOPIC"``: the topics whose messages
        contain the answer, up to 128 KB (default: none). (templated)
    :param max_concurrent_invocations_per_instance: Requests that a container gets at once, 1 to 1000 (default: SageMaker's choice). (templated)
    :param members: Further members of the AWS shape as they are.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AsyncInferenceConfig.html
    """

    def __init__(
        self,
        *,
        s3_output_path: TemplatedStr,
        s3_failure_path: TemplatedStr | None = None,
        kms_key_id: TemplatedStr | None = None,
        success_topic: TemplatedStr | None = None,
        error_topic: TemplatedStr | None = None,
        include_inference_response_in: Sequence[NotifiedTopic | TemplatedStr] | RenderedLater | None = None,
        max_concurrent_invocations_per_instance: TemplatedInt | None = None,
        **members: Any,
    ) -> None:
        super().__init__(ASYNC_INFERENCE.made(type(self).__name__, locals(), members))
