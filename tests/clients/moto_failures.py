"""The failures of moto's own tests against the local AWS, each with its reason, and the page of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

REFUSED = "AWS refuses it"
ASSUMED = "moto differs from AWS"
UNKNOWN = "AWS is not documented"
ABSENT = "not part of the local AWS"

#: Kind and sentence of each reason.
REASONS: dict[str, tuple[str, str]] = {
    "data": (REFUSED, "The test does not upload the archive that the model names (`model-data-absent`)."),
    "role": (REFUSED, "The execution role does not exist (`model-role-invalid`)."),
    "role-arn": (
        REFUSED,
        "The execution role is not the ARN of a role (botocore, CreateModelInput.ExecutionRoleArn).",
    ),
    "container": (REFUSED, "The model has no container (API_CreateModel.html)."),
    "endpoint": (REFUSED, "The endpoint of the invocation or of the scalable target does not exist."),
    "stack-name": (REFUSED, "The name of a stack has an underscore (API_CreateStack.html, StackName)."),
    "group-name": (REFUSED, "The name of a model package group has an underscore (botocore, EntityName)."),
    "tags-count": (REFUSED, "More than 50 tags are added in one call (botocore, TagList)."),
    "digest": (REFUSED, "The digest of an image is none (botocore, ImageDigest)."),
    "unversioned": (
        REFUSED,
        "An unversioned model package has no inference specification with instance types (API_InferenceSpecification.html).",
    ),
    "resolution": (REFUSED, "A storage resolution is neither 1 nor 60 (API_MetricDatum.html)."),
    "statistic": (REFUSED, "The alarm has no statistic (API_PutMetricAlarm.html)."),
    "tags-absent": (
        REFUSED,
        "The alarm whose tags are listed does not exist (API_ListTagsForResource.html, ResourceNotFoundException).",
    ),
    "dimensions": (
        ASSUMED,
        "A metric is found by all of its dimensions only (API_GetMetricStatistics.html).",
    ),
    "each-datum": (ASSUMED, "ListMetrics returns a metric once, not once for each datum."),
    "units": (ASSUMED, "Without a unit, the data of one unit is returned (recorded answer `data-units`)."),
    "first-state": (ASSUMED, "A new alarm is INSUFFICIENT_DATA (recorded answer `alarm-minimal`)."),
    "members": (ASSUMED, "An alarm on one metric has no member Metrics (recorded answer `alarm-minimal`)."),
    "label": (
        ASSUMED,
        "A label has the statistic only if queries differ in it (localstack/localstack, validated snapshot, test_label_generation).",
    ),
    "exclusive": (
        ASSUMED,
        "The code is that of API_PutMetricData.html for parameters that exclude each other, InvalidParameterCombination.",
    ),
    "search-order": (
        ASSUMED,
        "Search sorts by the time of the last change, the newest first (API_Search.html).",
    ),
    "approval": (
        UNKNOWN,
        "An approval status does not apply to unversioned model packages (API_CreateModelPackage.html): it is refused here.",
    ),
    "words": (UNKNOWN, "The code is the same; the sentence says here what is absent."),
    "same-dimensions": (UNKNOWN, "A metric with two dimensions of the same name."),
    "canned": (
        ABSENT,
        "moto's prepared answers of endpoints: here containers answer. The test's address of the server is fixed.",
    ),
    "other-alarms": (ABSENT, "Alarms that moto makes for scaling policies of DynamoDB and ECS."),
    "other-metrics": (ABSENT, "Metrics that moto's S3 has without a request that puts them."),
    "insights": (ABSENT, "Queries of Metrics Insights, which are refused by name."),
}

_ENDPOINT = "test_sagemaker/test_sagemaker_endpoint.py"
_MODELS = "test_sagemaker/test_sagemaker_models.py"
_STACKS = "test_sagemaker/test_sagemaker_cloudformation.py"
_RUNTIME = "test_sagemakerruntime/test_sagemakerruntime.py"
_METRICS = "test_cloudwatch/test_cloudwatch.py"
_ALARMS = "test_cloudwatch/test_cloudwatch_alarms.py"
_TAGS = "test_cloudwatch/test_cloudwatch_tags.py"
_PACKAGES = "test_sagemaker/test_sagemaker_model_packages.py"
_GROUPS = "test_sagemaker/test_sagemaker_model_package_groups.py"
_SEARCH = "test_sagemaker/test_sagemaker_search.py"
_INTEGRATION = "test_sagemaker/test_sagemaker_integration.py"
_EXPRESSIONS = "test_cloudwatch/test_cloudwatch_expressions.py"
_TARGETS = "test_applicationautoscaling/test_applicationautoscaling.py"
_POLICIES = "test_applicationautoscaling/test_applicationautoscaling_policies.py"

_TESTS: dict[tuple[str, str], list[str]] = {
    (_STACKS, "stack-name"): [
        "sagemaker_cloudformation_create[test_config0]",
        "sagemaker_cloudformation_create[test_config1]",
        "sagemaker_cloudformation_create[test_config2]",
        "sagemaker_cloudformation_get_attr[test_config0]",
        "sagemaker_cloudformation_get_attr[test_config1]",
        "sagemaker_cloudformation_get_attr[test_config2]",
        "sagemaker_cloudformation_notebook_instance_delete[test_config0-RecordNotFound]",
        "sagemaker_cloudformation_notebook_instance_delete[test_config1-Notebook Instance Lifecycle Config does not exist]",
        "sagemaker_cloudformation_notebook_instance_delete[test_config2-Could not find model]",
        "sagemaker_cloudformation_notebook_instance_update",
        "sagemaker_cloudformation_notebook_instance_lifecycle_config_update",
        "sagemaker_cloudformation_model_update",
    ],
    (_STACKS, "role"): [
        "sagemaker_cloudformation_create[test_config3]",
        "sagemaker_cloudformation_create[test_config4]",
        "sagemaker_cloudformation_get_attr[test_config3]",
        "sagemaker_cloudformation_get_attr[test_config4]",
        "sagemaker_cloudformation_notebook_instance_delete[test_config3-Could not find endpoint configuration]",
        "sagemaker_cloudformation_notebook_instance_delete[test_config4-Could not find endpoint]",
        "sagemaker_cloudformation_endpoint_config_update",
        "sagemaker_cloudformation_endpoint_update",
    ],
    (_ENDPOINT, "data"): [
        "create_endpoint_config",
        "create_endpoint_config_serverless",
        "create_endpoint_config_async",
        "delete_endpoint_config",
        "create_endpoint_invalid_instance_type",
        "create_endpoint_invalid_memory_size",
        "create_endpoint",
        "delete_endpoint",
        "add_tags_endpoint",
        "delete_tags_endpoint",
        "list_tags_endpoint",
        "update_endpoint_weights_and_capacities_one_variant",
        "update_endpoint_weights_and_capacities_two_variants",
        "update_endpoint_weights_and_capacities_should_throw_clienterror_no_variant",
        "update_endpoint_weights_and_capacities_should_throw_clienterror_no_endpoint",
        "update_endpoint_weights_and_capacities_should_throw_clienterror_nonunique_variant",
        "list_endpoints",
        "list_endpoints_filters",
        "list_endpoint_configs",
        "list_endpoint_configs_filters",
    ],
    (_INTEGRATION, "container"): ["tag_and_untag_resources_sagemaker"],
    (_GROUPS, "tags-count"): ["list_tags_model_package_group", "delete_tags_model_package_group"],
    (_GROUPS, "search-order"): ["search_model_package_groups"],
    (_PACKAGES, "unversioned"): [
        "list_model_packages",
        "list_model_packages_name_contains",
        "list_model_packages_model_package_group_name",
        "list_model_packages_model_package_type",
        "list_model_packages_sort_by",
        "list_model_packages_sort_order",
        "create_model_package",
    ],
    (_PACKAGES, "approval"): [
        "list_model_packages_approval_status",
        "describe_model_package_with_create_model_package_arguments",
    ],
    (_PACKAGES, "digest"): ["update_model_package_given_additional_inference_specifications_to_add"],
    (_MODELS, "role-arn"): [
        "describe_model",
        "create_model",
        "delete_model",
        "list_models",
        "list_models_multiple",
        "add_tags_to_model",
        "delete_tags_from_model",
    ],
    (_SEARCH, "group-name"): ["search_model_packages", "search_model_package_groups_with_filter"],
    (_RUNTIME, "endpoint"): ["invoke_endpoint__default_results"],
    (_RUNTIME, "canned"): [
        "invoke_endpoint",
        "invoke_endpoint_async",
        "invoke_endpoint_async_should_read_sync_queue_if_async_not_configured",
    ],
    (_TARGETS, "endpoint"): [
        "register_scalable_target_resource_id_variations",
        "describe_scaling_policies",
        "delete_scaling_policies",
        "deregister_scalable_target",
    ],
    (_POLICIES, "other-alarms"): [
        "describe_scaling_policy_alarms[TargetTrackingScaling-policy_body_kwargs0]",
        "describe_scaling_policy_with_ecs_alarms",
    ],
    (_METRICS, "exclusive"): ["put_metric_data_can_not_have_value_and_values"],
    (_METRICS, "resolution"): ["put_metric_data_with_statistics"],
    (_METRICS, "dimensions"): ["get_metric_statistics_dimensions", "get_metric_data_for_dimensions"],
    (_METRICS, "same-dimensions"): ["duplicate_put_metric_data"],
    (_METRICS, "each-datum"): ["list_metrics", "list_metrics_paginated"],
    (_METRICS, "label"): ["get_metric_data_partially_within_timeframe", "get_metric_data_with_custom_label"],
    (_METRICS, "units"): ["get_metric_data_for_unit"],
    (_METRICS, "other-metrics"): ["cloudwatch_return_s3_metrics"],
    (_METRICS, "first-state"): [
        "put_metric_alarm",
        "put_metric_alarm_with_percentile",
        "put_metric_alarm_with_anomaly_detection",
    ],
    (_ALARMS, "members"): ["describe_alarms"],
    (_ALARMS, "first-state"): ["alarm_state"],
    (_EXPRESSIONS, "insights"): ["get_metric_data_with_expressive_expression"],
    (_TAGS, "tags-absent"): ["list_tags_for_resource_with_unknown_resource"],
    (_TAGS, "statistic"): ["tag_resource_on_resource_without_tags"],
    (_TAGS, "words"): ["tag_resource_error_not_exists", "untag_resource_error_not_exists"],
}

#: The reason of each test that fails.
FAILURES: dict[str, str] = {
    f"{module}::test_{name}": reason for (module, reason), names in _TESTS.items() for name in names
}


def page(version: str, counts: Mapping[str, int]) -> str:
    """Return the page about a run.

    :param version: The version of moto.
    :param counts: How many tests passed, failed and were skipped.
    """
    kinds = Counter(REASONS[reason][0] for reason in FAILURES.values())
    lines = [
        "# moto's own tests against the local AWS",
        "",
        f"The tests of moto {version} for SageMaker, its runtime, Application Auto Scaling and CloudWatch, in server mode: "
        f"{counts['passed']} pass,",
        f"{counts['failed']} fail, {counts['skipped']} are skipped by moto. `tests/clients/test_moto_suite.py` downloads and runs them; it fails "
        "if the table lacks a failure,",
        "or has one that there is not.",
        "",
        "| why they fail | tests |",
        "|---|---|",
        *(f"| {kind} | {kinds[kind]} |" for kind in (REFUSED, ASSUMED, UNKNOWN, ABSENT)),
        "",
        "| tests | why they fail | reason |",
        "|---|---|---|",
        *(
            f"| `{module}`: {', '.join(f'`test_{name}`' for name in names)} | {REASONS[reason][0]} | {REASONS[reason][1]} |"
            for (module, reason), names in _TESTS.items()
        ),
    ]
    return "\n".join(lines) + "\n"
