"""What SageMaker refuses in the structures of a variant and a config, beyond its model of the request: each rule with its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_hosting.local.sagemaker.refusal import refuse

#: botocore, MetricsConfig and MetricsEndpoint: "Valid values".
_FREQUENCIES = (10, 30, 60, 120, 180, 240, 300)

# The sentences in this module are assumed.


def check_metrics(config: Mapping[str, Any]) -> None:
    """Refuse a frequency that is not one of those that AWS documents."""
    frequency = config.get("MetricPublishFrequencyInSeconds")
    if frequency is not None and frequency not in _FREQUENCIES:
        refuse(f"MetricPublishFrequencyInSeconds must be one of {', '.join(map(str, _FREQUENCIES))}.")


def check_routing(name: str, routing: Mapping[str, Any]) -> None:
    """Refuse numbers of prefix-aware routing without it, and it without them (botocore, PrefixAwareRoutingConfig)."""
    aware = routing.get("RoutingStrategy") == "PREFIX_AWARE"
    numbers = routing.get("PrefixAwareRoutingConfig")
    if aware and not {"PrefixLength", "ConcurrencyThreshold"} <= (numbers or {}).keys():
        refuse(
            f"PrefixLength and ConcurrencyThreshold are required when RoutingStrategy is PREFIX_AWARE, for production variant {name}."
        )
    if numbers and not aware:
        refuse(
            f"PrefixAwareRoutingConfig can be specified only when RoutingStrategy is PREFIX_AWARE, for production variant {name}."
        )


def check_managed_scaling(name: str, scaling: Mapping[str, Any]) -> None:
    """Refuse a maximum below the minimum, and the step size of a strategy that has none.

    botocore, ProductionVariantManagedInstanceScaling: the step size is of "a consolidation scale-in operation".
    """
    least, most = scaling.get("MinInstanceCount"), scaling.get("MaxInstanceCount")
    if least is not None and most is not None and most < least:
        refuse(f"MaxInstanceCount must not be less than MinInstanceCount for production variant {name}.")
    policy = scaling.get("ScaleInPolicy", {})
    if "MaximumStepSize" in policy and policy.get("Strategy") == "IDLE_RELEASE":
        refuse(f"MaximumStepSize is only supported with CONSOLIDATION for production variant {name}.")


def check_pools(name: str, variant: Mapping[str, Any]) -> None:
    """Refuse instance pools beside an instance type or a reservation, and two of one type.

    https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-heterogeneous.html: pools stand in place of InstanceType. That
    types are distinct, and that a reservation is of one type, is assumed.
    """
    pools = variant.get("InstancePools")
    if pools is None:
        return
    if "InstanceType" in variant:
        refuse(f"InstanceType and InstancePools cannot both be specified for production variant {name}.")
    if "CapacityReservationConfig" in variant:
        refuse(
            f"CapacityReservationConfig is not supported with InstancePools for production variant {name}."
        )
    types = [pool["InstanceType"] for pool in pools]
    if len(set(types)) < len(types):
        refuse(f"The instance types of InstancePools must be unique for production variant {name}.")


def check_explainer(config: Mapping[str, Any]) -> None:
    """Refuse an explainer without exactly one baseline, or with members that exclude each other.

    https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-online-explainability-create-endpoint.html; botocore, ClarifyInferenceConfig.
    """
    clarify = config.get("ClarifyExplainerConfig")
    if clarify is None:
        return
    baseline = clarify["ShapConfig"]["ShapBaselineConfig"]
    if ("ShapBaseline" in baseline) == ("ShapBaselineUri" in baseline):
        refuse("Exactly one of ShapBaseline and ShapBaselineUri must be specified.")
    inference = clarify.get("InferenceConfig", {})
    for index, attribute in (("ProbabilityIndex", "ProbabilityAttribute"), ("LabelIndex", "LabelAttribute")):
        if index in inference and attribute in inference:
            refuse(f"{index} and {attribute} cannot both be specified.")
    headers, types = inference.get("FeatureHeaders"), inference.get("FeatureTypes")
    if headers is not None and types is not None and len(headers) != len(types):
        refuse("FeatureHeaders and FeatureTypes must have the same number of entries.")
    if types is not None and "text" not in types:
        refuse("FeatureTypes must have at least one text feature.")


def check_image_access(definition: Mapping[str, Any], *, has_vpc: bool) -> None:
    """Refuse credentials for a registry that is not in the VPC, and such a registry for a model without a VPC.

    botocore, ImageConfig and RepositoryAuthConfig;
    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-containers-inference-private.html
    """
    access = definition.get("ImageConfig")
    if access is None:
        return
    private = access["RepositoryAccessMode"] == "Vpc"
    credentials = access.get("RepositoryAuthConfig")
    if credentials and not private:
        refuse("RepositoryAuthConfig can be specified only when RepositoryAccessMode is Vpc.")
    if credentials and ":lambda:" not in credentials["RepositoryCredentialsProviderArn"]:
        refuse("RepositoryCredentialsProviderArn must be the ARN of a Lambda function.")
    if private and not has_vpc:
        refuse("VpcConfig must be specified when RepositoryAccessMode is Vpc.")


def check_multi_model(definition: Mapping[str, Any]) -> None:
    """Refuse the settings of many models for a container with one (botocore, MultiModelConfig: "for hosting multi-model endpoints")."""
    if "MultiModelConfig" in definition and definition.get("Mode") == "SingleModel":
        refuse("MultiModelConfig can be specified only when Mode is MultiModel.")
