"""Make the calls of the steps: one adapter for each operation that changes a resource."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential_jitter

from airflow_sm_hosting.deployment import evidence
from airflow_sm_hosting.deployment.endpoint_tags import EndpointTags
from airflow_sm_hosting.deployment.observation import Observation
from airflow_sm_hosting.deployment.scaling_snapshot import tag_keys
from airflow_sm_hosting.deployment.smoke_test import AnswerFailure
from airflow_sm_hosting.deployment.steps import (
    AbortMultipartUpload,
    AddTags,
    AlarmCall,
    BatchDeleteImage,
    Call,
    CheckAnswer,
    ConfirmDetaching,
    CreateEndpoint,
    CreateInferenceComponent,
    DeleteAlarms,
    DeleteEndpoint,
    DeleteEndpointConfig,
    DeleteInferenceComponent,
    DeleteModel,
    DeleteObject,
    DeleteScalingPolicy,
    DeleteScheduledAction,
    DeleteTags,
    DeregisterScalableTarget,
    ObserveAgain,
    PutCompositeAlarm,
    PutMetricAlarm,
    PutScalingPolicy,
    PutScheduledAction,
    RegisterScalableTarget,
    Step,
    TagAlarm,
    TagScalableTarget,
    UntagScalableTarget,
    UpdateEndpoint,
    UpdateEndpointWeightsAndCapacities,
    UpdateInferenceComponent,
    UpdateInferenceComponentRuntimeConfig,
)
from airflow_sm_hosting.exceptions import NotFoundError, SageMakerHostingError
from airflow_sm_hosting.hooks.errors import (
    already_exists,
    are_credentials_refused,
    error_code,
    error_message,
    is_absent,
    is_in_progress,
    is_passing,
    is_tagged_again,
    is_unregistered,
)
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.service_model.shapes import input_shape

if TYPE_CHECKING:
    from airflow_sm_hosting.deployer.observer import Observer
    from airflow_sm_hosting.hooks.parameters import AwsParameters

log = logging.getLogger(__name__)

#: Steps that tell a person who watches a deployment nothing: bookkeeping for later tries.
_TAG_STEPS = (AddTags, DeleteTags, TagAlarm, TagScalableTarget, UntagScalableTarget)

Adapter = Callable[["StepRunner", Any, Observation | None], Any]


class ConcurrentUpdateError(SageMakerHostingError):
    """Something else changed the endpoint between the observation and the next call: observe and plan again."""


class StepRunner:
    """Applies steps.

    :param aws: Makes the hooks.
    :param observer: Remembers written tags; None if no tags of endpoints are written.
    :param check_answer: Invokes the endpoint of the given name and returns the failure of its answer; None when the answer is right.
    """

    def __init__(
        self,
        aws: AwsParameters,
        observer: Observer | None = None,
        check_answer: Callable[[str], AnswerFailure | None] | None = None,
    ) -> None:
        self.aws = aws
        self.observer = observer
        self.check_answer = check_answer

    def validated(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """Return the steps with their requests converted and validated by the services' models, before the first step is applied.

        :param steps: The steps of a plan.
        :raises InvalidSpecError: For a request that a service would refuse.
        """
        return tuple(
            replace(step, request=_valid_request(step)) if isinstance(step, Call) else step for step in steps
        )

    def apply(self, step: Step, observed: Observation | None = None) -> Any:
        """Apply a step and return AWS's answer.

        :param step: The step, validated.
        :param observed: The observation before the step, for a step on an endpoint.
        :raises ConcurrentUpdateError: When something else changes the endpoint.
        """
        answer = ADAPTERS[type(step)](self, step, observed)
        if isinstance(step, Call):
            level = logging.DEBUG if isinstance(step, _TAG_STEPS) else logging.INFO
            log.log(level, "%s (%s)%s", step.operation, step.what, f": {step.why}" if step.why else "")
        return answer


def _valid_request(step: Call) -> dict[str, Any]:
    request = step.request
    if isinstance(step, AlarmCall) and step.described:
        # PutMetricAlarm overwrites the whole alarm. An alarm on metric maths is described with empty members of the other form.
        members = input_shape(step.service, step.operation).members
        request = {
            name: value for name, value in request.items() if name in members and value not in (None, [], "")
        }
    return validated_request(step.service, step.operation, request)


# SageMaker.


def create_endpoint(runner: StepRunner, step: CreateEndpoint, observed: Observation | None) -> Any:
    """Create the endpoint; the answer contains the time at which AWS accepted the request.

    :raises ConcurrentUpdateError: When another run has created it meanwhile.
    :raises NotFoundError: When its config does not exist, or CreateEndpoint does not see it yet.
    """
    return _created(step, runner.aws.sagemaker_hook.conn.create_endpoint)


def _created(step: Call, create: Callable[..., Any]) -> Any:
    try:
        answer = create(**step.request)
    except ClientError as error:
        if is_absent(error):
            raise NotFoundError(f"{step.operation}: {error_message(error)}") from None
        if not already_exists(error):
            raise
        raise ConcurrentUpdateError(error_message(error)) from error
    return {**answer, "taken_at": _moment_of(answer)}


def update_endpoint(runner: StepRunner, step: UpdateEndpoint, observed: Observation | None) -> dict[str, Any]:
    """Update the endpoint; the answer contains the time at which AWS accepted the update.

    :raises ConcurrentUpdateError: When another change is in progress, has restored scaling that this update must remove, or has put the
        endpoint into another state than the observed one.
    """
    try:
        answer = runner.aws.sagemaker_hook.conn.update_endpoint(**step.request)
    except ClientError as error:
        if is_in_progress(error) or (
            not is_passing(error)
            and not are_credentials_refused(error)
            and not is_absent(error)
            and (
                _is_scaled_meanwhile(runner, step, observed)
                or (error_code(error) == "ValidationException" and _is_changed_meanwhile(runner, observed))
            )
        ):
            raise ConcurrentUpdateError(error_message(error)) from error
        raise
    return {**answer, "taken_at": _moment_of(answer)}


def _is_scaled_meanwhile(runner: StepRunner, step: UpdateEndpoint, observed: Observation | None) -> bool:
    """Return whether variants have become scalable targets: another run has restored its scaling."""
    if runner.observer is None or observed is None or len(observed.targets_fact.of) < 2:
        return False
    scaled = set(runner.observer.fetch(observed.targets_fact, observed))
    return bool(scaled & step.detached or scaled - step.scaled)


def _is_changed_meanwhile(runner: StepRunner, observed: Observation | None) -> bool:
    """Return whether the observed description was an earlier state: the refusal was not meant for the endpoint as it was planned for."""
    if observed is None or observed.endpoint is None:
        return False
    name, before = observed.endpoint_name, observed.endpoint.get("LastModifiedTime")
    retrying = Retrying(
        retry=retry_if_result(lambda changed: not changed),
        wait=wait_exponential_jitter(max=15),
        stop=stop_after_delay(evidence.READS_LAG),
        retry_error_callback=lambda state: False,
    )

    def is_changed() -> bool:
        described = runner.aws.sagemaker_hook.describe_endpoint(name)
        return described is not None and before is not None and described["LastModifiedTime"] > before

    return bool(retrying(is_changed))


def _moment_of(answer: Mapping[str, Any]) -> int:
    """Return the time of the answer, by AWS's clock."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return int(parsedate_to_datetime(headers["date"]).timestamp())
    except (KeyError, ValueError):
        return int(time.time())


def delete_endpoint(runner: StepRunner, step: DeleteEndpoint, observed: Observation | None) -> Any:
    """Begin to delete the endpoint; an endpoint that is already gone is not an error."""
    if runner.observer:
        runner.observer.forget_endpoint()
    return runner.aws.sagemaker_hook.delete_endpoint(step.request["EndpointName"])


def set_instance_count(
    runner: StepRunner, step: UpdateEndpointWeightsAndCapacities, observed: Observation | None
) -> Any:
    """Set a variant's instance count."""
    return runner.aws.sagemaker_hook.conn.update_endpoint_weights_and_capacities(**step.request)


# Inference components.


def create_inference_component(
    runner: StepRunner, step: CreateInferenceComponent, observed: Observation | None
) -> Any:
    """Create the inference component; the answer contains the time at which AWS accepted the request.

    :raises ConcurrentUpdateError: When another run has created it meanwhile.
    :raises NotFoundError: When its endpoint, base or model does not exist, or is not seen yet.
    """
    return _created(step, runner.aws.sagemaker_hook.conn.create_inference_component)


def update_inference_component(
    runner: StepRunner, step: UpdateInferenceComponent, observed: Observation | None
) -> dict[str, Any]:
    """Update the inference component; the answer contains the time at which AWS accepted the update.

    :raises ConcurrentUpdateError: When another change is in progress.
    """
    return _component_changed(runner.aws.sagemaker_hook.conn.update_inference_component, step)


def set_copies(
    runner: StepRunner, step: UpdateInferenceComponentRuntimeConfig, observed: Observation | None
) -> dict[str, Any]:
    """Set the number of copies.

    :raises ConcurrentUpdateError: When another change is in progress: autoscaling writes the same member.
    """
    return _component_changed(runner.aws.sagemaker_hook.conn.update_inference_component_runtime_config, step)


def _component_changed(change: Callable[..., Any], step: Call) -> dict[str, Any]:
    try:
        answer = change(**step.request)
    except ClientError as error:
        if is_in_progress(error):
            raise ConcurrentUpdateError(error_message(error)) from error
        raise
    return {**answer, "taken_at": _moment_of(answer)}


def delete_inference_component(
    runner: StepRunner, step: DeleteInferenceComponent, observed: Observation | None
) -> Any:
    """Begin to delete an inference component; one that is already gone is not an error.

    :raises ConcurrentUpdateError: When another change is in progress: autoscaling changes the copies.
    """
    if runner.observer:
        runner.observer.forget_endpoint()
    try:
        return runner.aws.sagemaker_hook.delete_inference_component(step.request["InferenceComponentName"])
    except ClientError as error:
        if is_in_progress(error):
            raise ConcurrentUpdateError(error_message(error)) from error
        raise


# Tags, configs and models.


def add_tags(runner: StepRunner, step: AddTags, observed: Observation | None) -> Any:
    """Set tags.

    :raises ConcurrentUpdateError: When they exceed the limit, because other runs have saved the scaling, too.
    """
    arn = step.request["ResourceArn"]
    hook = runner.aws.sagemaker_hook
    try:
        hook.conn.add_tags(**step.request)
    except ClientError as error:
        full = error_code(error) == "ResourceLimitExceeded" and tag_keys(step.tags)
        if not full or observed is None or set(tag_keys(hook.tags(arn))) <= set(observed.tags):
            raise
        raise ConcurrentUpdateError(error_message(error)) from error
    if runner.observer:
        runner.observer.written.setdefault(arn, {}).update(step.tags)
    return None


def delete_tags(runner: StepRunner, step: DeleteTags, observed: Observation | None) -> Any:
    """Delete tags."""
    runner.aws.sagemaker_hook.conn.delete_tags(**step.request)
    if runner.observer:
        written = runner.observer.written.get(step.request["ResourceArn"], {})
        for key in step.request["TagKeys"]:
            written.pop(key, None)


def delete_endpoint_config(
    runner: StepRunner, step: DeleteEndpointConfig, observed: Observation | None
) -> bool:
    """Delete an endpoint config; return False when there was none."""
    return runner.aws.sagemaker_hook.delete_endpoint_config(step.request["EndpointConfigName"])


def delete_model(runner: StepRunner, step: DeleteModel, observed: Observation | None) -> bool:
    """Delete a model; return False when there was none."""
    return runner.aws.sagemaker_hook.delete_model(step.request["ModelName"])


# Application Auto Scaling.


def change_scaling(runner: StepRunner, step: Call, observed: Observation | None) -> Any:
    """Change a scalable target, its tags, policies or scheduled actions.

    :raises ConcurrentUpdateError: When another run has removed the scaling again.
    """
    try:
        return runner.aws.auto_scaling_hook.change(step.operation, step.request)
    except ClientError as error:
        if not is_unregistered(error):
            raise
        raise ConcurrentUpdateError(error_message(error)) from error


def register_target(runner: StepRunner, step: RegisterScalableTarget, observed: Observation | None) -> Any:
    """Register a scalable target; one that an earlier try has registered already is tagged by a call of its own.

    :raises ConcurrentUpdateError: When another run has removed the scaling again.
    """
    try:
        return change_scaling(runner, step, observed)
    except ClientError as error:
        if not (step.may_exist and is_tagged_again(error)):
            raise
    tags = step.request["Tags"]
    untagged = {member: value for member, value in step.request.items() if member != "Tags"}
    answer = change_scaling(runner, replace(step, request=untagged), observed)
    tagged = TagScalableTarget({"ResourceARN": answer["ScalableTargetARN"], "Tags": tags})
    change_scaling(runner, tagged, observed)
    return answer


# CloudWatch.


def put_metric_alarm(runner: StepRunner, step: PutMetricAlarm, observed: Observation | None) -> Any:
    """Put an alarm on a metric."""
    return runner.aws.cloudwatch_hook.conn.put_metric_alarm(**step.request)


def put_composite_alarm(runner: StepRunner, step: PutCompositeAlarm, observed: Observation | None) -> Any:
    """Put an alarm on the states of others."""
    return runner.aws.cloudwatch_hook.conn.put_composite_alarm(**step.request)


def delete_alarms(runner: StepRunner, step: DeleteAlarms, observed: Observation | None) -> Any:
    """Delete alarms."""
    return runner.aws.cloudwatch_hook.conn.delete_alarms(**step.request)


def tag_alarm(runner: StepRunner, step: TagAlarm, observed: Observation | None) -> Any:
    """Set tags of an alarm."""
    return runner.aws.cloudwatch_hook.conn.tag_resource(**step.request)


# ECR and S3.


def batch_delete_image(runner: StepRunner, step: BatchDeleteImage, observed: Observation | None) -> Any:
    """Delete image tags."""
    return runner.aws.ecr_hook().conn.batch_delete_image(**step.request)


def delete_object(runner: StepRunner, step: DeleteObject, observed: Observation | None) -> Any:
    """Delete an object."""
    return runner.aws.model_data_hook.conn.delete_object(**step.request)


def abort_multipart_upload(
    runner: StepRunner, step: AbortMultipartUpload, observed: Observation | None
) -> Any:
    """Abort an upload in parts; one that has ended meanwhile is not an error."""
    try:
        return runner.aws.model_data_hook.conn.abort_multipart_upload(**step.request)
    except ClientError as error:
        if error_code(error) != "NoSuchUpload":
            raise
        return None


# Steps that change nothing.


def observe_again(runner: StepRunner, step: ObserveAgain, observed: Observation | None) -> None:
    """Do nothing: the step's effect forgets facts."""


def confirm_detaching(runner: StepRunner, step: ConfirmDetaching, observed: Observation | None) -> None:
    """Check that only this run removes the scaling, and that its saved copy can be read.

    :raises ConcurrentUpdateError: When another run has claimed or saved the scaling meanwhile, or the claim has expired.
    """
    hook = runner.aws.sagemaker_hook
    copies = set(step.copies)
    now = hook.tags_with(step.endpoint_arn, copies)
    others = set(tag_keys(now)) - copies
    claims = EndpointTags.read(now).is_detached_by(step.task, datetime.now(UTC))
    if claims and copies <= set(now) and others <= set(step.known):
        return
    # Each run writes first and reads then, so at least one of two runs sees the other.
    delete_tags(runner, DeleteTags({"ResourceArn": step.endpoint_arn, "TagKeys": sorted(copies)}), observed)
    raise ConcurrentUpdateError("Another run removes the scaling")


def check_answer(runner: StepRunner, step: CheckAnswer, observed: Observation | None) -> AnswerFailure | None:
    """Invoke the endpoint; return the failure of its answer, None when the answer is right."""
    return runner.check_answer(step.endpoint_name) if runner.check_answer else None


ADAPTERS: Mapping[type[Step], Adapter] = {
    CreateEndpoint: create_endpoint,
    UpdateEndpoint: update_endpoint,
    DeleteEndpoint: delete_endpoint,
    UpdateEndpointWeightsAndCapacities: set_instance_count,
    CreateInferenceComponent: create_inference_component,
    UpdateInferenceComponent: update_inference_component,
    UpdateInferenceComponentRuntimeConfig: set_copies,
    DeleteInferenceComponent: delete_inference_component,
    AddTags: add_tags,
    DeleteTags: delete_tags,
    DeleteEndpointConfig: delete_endpoint_config,
    DeleteModel: delete_model,
    RegisterScalableTarget: register_target,
    DeregisterScalableTarget: change_scaling,
    PutScalingPolicy: change_scaling,
    DeleteScalingPolicy: change_scaling,
    PutScheduledAction: change_scaling,
    DeleteScheduledAction: change_scaling,
    TagScalableTarget: change_scaling,
    UntagScalableTarget: change_scaling,
    PutMetricAlarm: put_metric_alarm,
    PutCompositeAlarm: put_composite_alarm,
    DeleteAlarms: delete_alarms,
    TagAlarm: tag_alarm,
    BatchDeleteImage: batch_delete_image,
    DeleteObject: delete_object,
    AbortMultipartUpload: abort_multipart_upload,
    ObserveAgain: observe_again,
    ConfirmDetaching: confirm_detaching,
    CheckAnswer: check_answer,
}
