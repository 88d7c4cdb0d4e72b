"""Spec objects of today's hosting: the dict that each is, both edges of its rules, and the same rules for plain dicts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_hosting import (
    AsyncInference,
    CapacityReservation,
    DataCapture,
    Explainer,
    ImageAccess,
    InstancePool,
    ManagedInstanceScaling,
    Metrics,
    MultiModel,
    Routing,
    ServerlessUpdate,
    VpcConfig,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec import described_shape as described_shape_module
from airflow_sm_hosting.spec.async_inference import ASYNC_INFERENCE
from airflow_sm_hosting.spec.container_access import IMAGE_ACCESS, MULTI_MODEL
from airflow_sm_hosting.spec.cross_region_traffic import CROSS_REGION_TRAFFIC
from airflow_sm_hosting.spec.data_capture import DATA_CAPTURE
from airflow_sm_hosting.spec.explainer import EXPLAINER
from airflow_sm_hosting.spec.instance_capacity import CAPACITY_RESERVATION, INSTANCE_POOL, MANAGED_SCALING
from airflow_sm_hosting.spec.member_names import MEMBERS
from airflow_sm_hosting.spec.metrics_publishing import METRICS
from airflow_sm_hosting.spec.routing import ROUTING
from airflow_sm_hosting.spec.serverless_update import SERVERLESS_UPDATE
from airflow_sm_hosting.spec.shape import Shape
from airflow_sm_hosting.spec.vpc import VPC

TOPIC = "arn:aws:sns:eu-west-1:111122223333:done"
PLAN = "arn:aws:sagemaker:eu-west-1:111122223333:training-plan/spring"
LATER = "{{ params.x }}"

#: Each object: its description, arguments that it needs, all its arguments, and the dict that they make.
OBJECTS: list[tuple[type[dict[str, Any]], Shape, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (
        DataCapture,
        DATA_CAPTURE,
        {"destination_s3_uri": "s3://bucket/captured", "initial_sampling_percentage": 20},
        {
            "capture_options": ["Input"],
            "enable_capture": True,
            "kms_key_id": "alias/key",
            "csv_content_types": ["text/csv"],
            "json_content_types": ["application/json"],
        },
        {
            "DestinationS3Uri": "s3://bucket/captured",
            "InitialSamplingPercentage": 20,
            "CaptureOptions": [{"CaptureMode": "Input"}],
            "EnableCapture": True,
            "KmsKeyId": "alias/key",
            "CaptureContentTypeHeader": {
                "CsvContentTypes": ["text/csv"],
                "JsonContentTypes": ["application/json"],
            },
        },
    ),
    (
        AsyncInference,
        ASYNC_INFERENCE,
        {"s3_output_path": "s3://bucket/answers"},
        {
            "s3_failure_path": "s3://bucket/failures",
            "kms_key_id": "alias/key",
            "success_topic": TOPIC,
            "error_topic": TOPIC,
            "include_inference_response_in": ["SUCCESS_NOTIFICATION_TOPIC"],
            "max_concurrent_invocations_per_instance": 4,
        },
        {
            "OutputConfig": {
                "S3OutputPath": "s3://bucket/answers",
                "S3FailurePath": "s3://bucket/failures",
                "KmsKeyId": "alias/key",
                "NotificationConfig": {
                    "SuccessTopic": TOPIC,
                    "ErrorTopic": TOPIC,
                    "IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"],
                },
            },
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 4},
        },
    ),
    (
        ManagedInstanceScaling,
        MANAGED_SCALING,
        {},
        {
            "min_instance_count": 0,
            "max_instance_count": 4,
            "status": "ENABLED",
            "scale_in_strategy": "CONSOLIDATION",
            "scale_in_maximum_step_size": 2,
            "scale_in_cooldown_in_minutes": 5,
        },
        {
            "Status": "ENABLED",
            "MinInstanceCount": 0,
            "MaxInstanceCount": 4,
            "ScaleInPolicy": {"Strategy": "CONSOLIDATION", "MaximumStepSize": 2, "CooldownInMinutes": 5},
        },
    ),
    (
        InstancePool,
        INSTANCE_POOL,
        {"instance_type": "ml.g5.xlarge", "priority": 1},
        {"model_name_override": "churn"},
        {"InstanceType": "ml.g5.xlarge", "Priority": 1, "ModelNameOverride": "churn"},
    ),
    (
        CapacityReservation,
        CAPACITY_RESERVATION,
        {"ml_reservation_arn": PLAN},
        {"preference": "capacity-reservations-only"},
        {"MlReservationArn": PLAN, "CapacityReservationPreference": "capacity-reservations-only"},
    ),
    (
        Routing,
        ROUTING,
        {"strategy": "RANDOM"},
        {"strategy": "PREFIX_AWARE", "prefix_length": 2048, "concurrency_threshold": 8},
        {
            "RoutingStrategy": "PREFIX_AWARE",
            "PrefixAwareRoutingConfig": {"PrefixLength": 2048, "ConcurrencyThreshold": 8},
        },
    ),
    (
        Metrics,
        METRICS,
        {},
        {
            "enable_enhanced_metrics": True,
            "enable_detailed_observability": False,
            "publish_frequency": timedelta(minutes=2),
        },
        {
            "EnableEnhancedMetrics": True,
            "EnableDetailedObservability": False,
            "MetricPublishFrequencyInSeconds": 120,
        },
    ),
    (
        ServerlessUpdate,
        SERVERLESS_UPDATE,
        {"max_concurrency": 10},
        {"provisioned_concurrency": 10},
        {"MaxConcurrency": 10, "ProvisionedConcurrency": 10},
    ),
    (
        VpcConfig,
        VPC,
        {"subnets": ["subnet-1"], "security_group_ids": ["sg-1"]},
        {},
        {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
    ),
    (MultiModel, MULTI_MODEL, {}, {"model_cache_setting": "Disabled"}, {"ModelCacheSetting": "Disabled"}),
    (
        ImageAccess,
        IMAGE_ACCESS,
        {"repository_access_mode": "Vpc"},
        {"repository_credentials_provider_arn": "arn:aws:lambda:eu-west-1:111122223333:function:credentials"},
        {
            "RepositoryAccessMode": "Vpc",
            "RepositoryAuthConfig": {
                "RepositoryCredentialsProviderArn": "arn:aws:lambda:eu-west-1:111122223333:function:credentials"
            },
        },
    ),
    (
        Explainer,
        EXPLAINER,
        {"shap_baseline": "1,2"},
        {
            "mime_type": "text/csv",
            "number_of_samples": 10,
            "use_logit": True,
            "seed": -5,
            "text_language": "en",
            "text_granularity": "token",
            "enable_explanations": "`true`",
            "features_attribute": "features",
            "content_template": '{"features":$features}',
            "max_record_count": 2,
            "max_payload_in_mb": 25,
            "probability_index": 0,
            "label_attribute": "labels",
            "label_headers": ["yes"],
            "feature_headers": ["age", "words"],
            "feature_types": ["numerical", "text"],
        },
        {
            "ClarifyExplainerConfig": {
                "EnableExplanations": "`true`",
                "InferenceConfig": {
                    "FeaturesAttribute": "features",
                    "ContentTemplate": '{"features":$features}',
                    "MaxRecordCount": 2,
                    "MaxPayloadInMB": 25,
                    "ProbabilityIndex": 0,
                    "LabelAttribute": "labels",
                    "LabelHeaders": ["yes"],
                    "FeatureHeaders": ["age", "words"],
                    "FeatureTypes": ["numerical", "text"],
                },
                "ShapConfig": {
                    "ShapBaselineConfig": {"ShapBaseline": "1,2", "MimeType": "text/csv"},
                    "NumberOfSamples": 10,
                    "UseLogit": True,
                    "Seed": -5,
                    "TextConfig": {"Language": "en", "Granularity": "token"},
                },
            }
        },
    ),
]
IDS = [one[0].__name__ for one in OBJECTS]


@pytest.mark.parametrize(("kind", "shape", "needed", "more", "made"), OBJECTS, ids=IDS)
def test_an_object_is_a_plain_dict_in_the_shape_of_aws(
    kind: Any, shape: Shape, needed: dict[str, Any], more: dict[str, Any], made: dict[str, Any]
) -> None:
    assert kind(**{**needed, **more}) == made
    shape.check("given", made)


@pytest.mark.parametrize(("kind", "shape", "needed", "more", "made"), OBJECTS, ids=IDS)
def test_what_is_rendered_later_is_left_alone(
    kind: Any, shape: Shape, needed: dict[str, Any], more: dict[str, Any], made: dict[str, Any]
) -> None:
    later = kind(**dict.fromkeys([*needed, *more], LATER))
    shape.check("given", later)
    shape.check("given", LATER)
    shape.check("given", None)


@pytest.mark.parametrize(("kind", "shape", "needed", "more", "made"), OBJECTS, ids=IDS)
def test_every_path_is_of_botocores_model(
    kind: Any, shape: Shape, needed: dict[str, Any], more: dict[str, Any], made: dict[str, Any]
) -> None:
    for path, _ in shape.members.values():
        structure = shape.structure
        for member in path.split("."):
            known = dict(part.partition(":")[::2] for part in MEMBERS[structure].split())
            assert member in known
            structure = known[member]


def test_content_of_both_topics_may_be_left_out() -> None:
    AsyncInference(s3_output_path="s3://bucket/answers", include_inference_response_in=[])


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: DataCapture(destination_s3_uri="bucket", initial_sampling_percentage=5), "DataCapture: destination_s3_uri is 'bucket'; allowed: an 's3://' URI"),
    (lambda: DataCapture(destination_s3_uri="s3://" + "b" * 508, initial_sampling_percentage=5), "512"),
    (lambda: DataCapture(destination_s3_uri="s3://b", initial_sampling_percentage=101), "initial_sampling_percentage is 101; allowed: a whole number from 0 to 100"),
    (lambda: DataCapture(destination_s3_uri="s3://b", initial_sampling_percentage=None), "initial_sampling_percentage is None"),
    (lambda: DataCapture(destination_s3_uri="s3://b", initial_sampling_percentage=1, capture_options=["Inputs"]), r"capture_options\[0\] is 'Inputs'.*Did you mean 'Input'"),
    (lambda: DataCapture(destination_s3_uri="s3://b", initial_sampling_percentage=1, capture_options=[]), "capture_options is a list of 0; allowed: a list of 1 to 32 entries"),
    (lambda: DataCapture(destination_s3_uri="s3://b", initial_sampling_percentage=1, capture_options=5), "capture_options is a int; allowed"),
    (lambda: DataCapture(destination_s3_uri="s3://b", initial_sampling_percentage=1, csv_content_types=["csv"]), r"csv_content_types\[0\]"),
    (lambda: DataCapture(destination_s3_uri="s3://b", initial_sampling_percentage=1, enable_capture="no"), "enable_capture"),
    (lambda: DataCapture(destination_s3_uri="s3://b", initial_sampling_percentage=1, DestinationS3Uri="s3://c"), "destination_s3_uri=…"),
    (lambda: DataCapture(destination_s3_uri="s3://b", initial_sampling_percentage=1, KmsKey="a"), "Did you mean kms_key_id=…"),
    (lambda: DATA_CAPTURE.check("data_capture_config", {"DestinationS3Uri": "s3://b", "InitialSamplingPercentage": "101", "CaptureOptions": [{"CaptureMode": "Input"}]}), r"data_capture_config.InitialSamplingPercentage is 101"),
    (lambda: DATA_CAPTURE.check("c", {"DestinationS3Uri": "s3://b", "InitialSamplingPercentage": 1, "CaptureOptions": ["Input"]}), r"CaptureOptions\[0\] is 'Input'; allowed: a dict with CaptureMode"),
    (lambda: DATA_CAPTURE.check("c", {}), "(?s)c has no DestinationS3Uri.*InitialSamplingPercentage.*CaptureOptions"),
    (lambda: DATA_CAPTURE.check("c", []), "c is a list; allowed: a dict in the AWS shape"),
    (lambda: DATA_CAPTURE.check("c", {"CaptureContentTypeHeader": "csv"}), "c.CaptureContentTypeHeader is a str"),
    (lambda: AsyncInference(s3_output_path="x"), "s3_output_path"),
    (lambda: AsyncInference(s3_output_path="s3://b/x", success_topic="done"), "success_topic is 'done'; allowed: the ARN of an SNS topic"),
    (lambda: AsyncInference(s3_output_path="s3://b/x", max_concurrent_invocations_per_instance=1001), "from 1 to 1000"),
    (lambda: AsyncInference(s3_output_path="s3://b/x", include_inference_response_in=["SUCCESS"]), r"include_inference_response_in\[0\]"),
    (lambda: ManagedInstanceScaling(min_instance_count=3, max_instance_count=2), "max_instance_count is 2, and ManagedInstanceScaling: min_instance_count 3; allowed: a maximum of 3 or more"),
    (lambda: ManagedInstanceScaling(scale_in_cooldown_in_minutes=10), "scale_in_cooldown_in_minutes is given without ManagedInstanceScaling: scale_in_strategy"),
    (lambda: ManagedInstanceScaling(scale_in_strategy="IDLE_RELEASE", scale_in_maximum_step_size=1), "only with 'CONSOLIDATION'"),
    (lambda: ManagedInstanceScaling(status="enabled"), "status is 'enabled'"),
    (lambda: MANAGED_SCALING.check("v", {"MinInstanceCount": "3", "MaxInstanceCount": "2"}), r"v.MaxInstanceCount is 2, and v.MinInstanceCount 3"),
    (lambda: InstancePool(instance_type="g5", priority=1), "instance_type is 'g5'"),
    (lambda: InstancePool(instance_type="ml.g5.xlarge", priority=6), "priority is 6; allowed: a whole number from 1 to 5"),
    (lambda: InstancePool(instance_type="ml.g5.xlarge", priority=1, model_name_override="a_b"), "model_name_override"),
    (lambda: CapacityReservation(ml_reservation_arn="spring"), "training-plan"),
    (lambda: CapacityReservation(ml_reservation_arn=PLAN, preference="none"), "preference"),
    (lambda: Routing(strategy="PREFIX_AWARE", prefix_length=2048), "concurrency_threshold is not given with 'PREFIX_AWARE'"),
    (lambda: Routing(strategy="RANDOM", prefix_length=2048), "prefix_length is given with the strategy 'RANDOM'; allowed: only with 'PREFIX_AWARE'"),
    (lambda: Routing(strategy="PREFIX_AWARE", prefix_length=1023, concurrency_threshold=1025), "(?s)from 1024 to 65536.*from 1 to 1024"),
    (lambda: Routing(strategy="LEAST_OUTSTANDING"), "LEAST_OUTSTANDING_REQUESTS"),
    (lambda: ROUTING.check("r", {"RoutingStrategy": "RANDOM", "PrefixAwareRoutingConfig": {"PrefixLength": 1024}}), r"r.PrefixAwareRoutingConfig.PrefixLength is given"),
    (lambda: Metrics(publish_frequency=20), "publish_frequency is 20; allowed: 10, 30, 60, 120, 180, 240, 300"),
    (lambda: Metrics(publish_frequency=timedelta(seconds=0.5)), "publish_frequency is 0.5 s"),
    (lambda: Metrics(publish_frequency=True), "publish_frequency"),
    (lambda: METRICS.check("m", {"EnableEnhancedMetrics": "yes"}), "m.EnableEnhancedMetrics is 'yes'"),
    (lambda: ServerlessUpdate(), "has neither ServerlessUpdate: max_concurrency nor ServerlessUpdate: provisioned_concurrency"),
    (lambda: ServerlessUpdate(max_concurrency=5, provisioned_concurrency=6), "provisioned_concurrency is 6, and ServerlessUpdate: max_concurrency 5"),
    (lambda: ServerlessUpdate(max_concurrency=201), "from 1 to 200"),
    (lambda: VpcConfig(subnets=[], security_group_ids=["sg-1"]), "subnets has 0 entries; allowed: 1 to 16"),
    (lambda: VpcConfig(subnets=["a"], security_group_ids=list("abcdef")), "security_group_ids has 6 entries; allowed: 1 to 5"),
    (lambda: VpcConfig(subnets=None, security_group_ids=["a"]), "subnets is None"),
    (lambda: MultiModel(model_cache_setting="On"), "model_cache_setting"),
    (lambda: ImageAccess(repository_access_mode="Private"), "repository_access_mode"),
    (lambda: ImageAccess(repository_access_mode="Platform", repository_credentials_provider_arn="arn:aws:lambda:a:1:function:f"), "only with 'Vpc'"),
    (lambda: ImageAccess(repository_access_mode="Vpc", repository_credentials_provider_arn="f"), "ARN of a Lambda function"),
    (lambda: Explainer(), "Explainer: neither of shap_baseline and shap_baseline_uri given; allowed: exactly one"),
    (lambda: Explainer(shap_baseline="1", shap_baseline_uri="s3://b/k"), "both of shap_baseline and shap_baseline_uri"),
    (lambda: Explainer(shap_baseline="1", probability_index=0, probability_attribute="p"), "probability_index and probability_attribute given"),
    (lambda: Explainer(shap_baseline="1", label_index=0, label_attribute="p"), "label_index and label_attribute given"),
    (lambda: Explainer(shap_baseline="1", feature_headers=["a"], feature_types=["text", "text"]), "1 feature_headers and 2 feature_types"),
    (lambda: Explainer(shap_baseline="1", feature_types=["numerical"]), "feature_types has no 'text'"),
    (lambda: Explainer(shap_baseline="1", text_language="en"), "text_language is given without text_granularity"),
    (lambda: Explainer(shap_baseline="1", text_granularity="token"), "text_granularity is given without text_language"),
    (lambda: Explainer(shap_baseline="1" * 4097), "shap_baseline_uri for more"),
    (lambda: Explainer(shap_baseline="1", enable_explanations=""), "enable_explanations is ''"),
    (lambda: Explainer(shap_baseline="1", seed=2**31), "seed"),
    (lambda: EXPLAINER.check("e", {"ClarifyExplainerConfig": {}}), "e: neither of ShapBaseline and ShapBaselineUri given"),
    (lambda: CROSS_REGION_TRAFFIC.check("x", {"MaxInvocationsPerSecondPerInstance": 0}), "(?s)x.MaxInvocationsPerSecondPerInstance is 0.*x has no MaxCrossRegionPercentPerEndpoint"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_can_never_work_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        make()


TAKEN: list[Callable[[], Any]] = [
    lambda: METRICS.check("m", {"EnableEnhancedMetrics": "True", "MetricPublishFrequencyInSeconds": "60"}),
    lambda: DATA_CAPTURE.check("c", {**dict(OBJECTS[0][4]), "CaptureOptions": [LATER, {"CaptureMode": LATER}]}),
    lambda: VPC.check("v", {"Subnets": LATER, "SecurityGroupIds": LATER}),
    lambda: EXPLAINER.check("e", {"ClarifyExplainerConfig": LATER}),
    lambda: Explainer(shap_baseline="1", feature_types=["numerical", LATER]),
    lambda: Explainer(shap_baseline="1", feature_headers=LATER, feature_types=["text"]),
    lambda: ROUTING.check("r", {"RoutingStrategy": LATER, "PrefixAwareRoutingConfig": {"PrefixLength": 1024}}),
    lambda: ManagedInstanceScaling(min_instance_count=LATER, max_instance_count=1),
]  # fmt: skip


@pytest.mark.parametrize("take", TAKEN, ids=range(len(TAKEN)))
def test_what_may_work_is_taken(take: Callable[[], Any]) -> None:
    take()


def test_a_member_that_aws_adds_is_sent_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="Velocity is not a member"):
        assert Routing(strategy="RANDOM", Velocity=1) == {"RoutingStrategy": "RANDOM", "Velocity": 1}


def test_descriptions_are_found_by_the_name_of_their_structure() -> None:
    for structure in described_shape_module._PLACES:
        assert described_shape_module.described_shape(structure).structure == structure
