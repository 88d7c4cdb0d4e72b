"""What spec objects accept, SageMaker accepts; what they refuse, it refuses: the same requests, made with and without their checks."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import assume, given, strategies as st

from airflow_sm_hosting import (
    AsyncInference,
    CapacityReservation,
    ComputeRequirements,
    ContainerDefinition,
    DataCapture,
    Explainer,
    ImageAccess,
    InstancePool,
    InstanceProductionVariant,
    ManagedInstanceScaling,
    Metrics,
    MultiModel,
    Routing,
    ServerlessProductionVariant,
    ServerlessUpdate,
    VpcConfig,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.service_model.validation import violations
from airflow_sm_hosting.spec.async_inference import ASYNC_INFERENCE
from airflow_sm_hosting.spec.container_access import IMAGE_ACCESS, MULTI_MODEL
from airflow_sm_hosting.spec.data_capture import DATA_CAPTURE
from airflow_sm_hosting.spec.endpoint_config import check_endpoint_config
from airflow_sm_hosting.spec.explainer import EXPLAINER
from airflow_sm_hosting.spec.inference_component import check_specification
from airflow_sm_hosting.spec.instance_capacity import CAPACITY_RESERVATION, INSTANCE_POOL, MANAGED_SCALING
from airflow_sm_hosting.spec.metrics_publishing import METRICS
from airflow_sm_hosting.spec.model import check_model
from airflow_sm_hosting.spec.routing import ROUTING
from airflow_sm_hosting.spec.serverless_update import SERVERLESS_UPDATE
from airflow_sm_hosting.spec.shape import Shape
from airflow_sm_hosting.spec.vpc import VPC
from tests.local.conftest import FOREIGN_IMAGE, ROLE
from tests.local.region import Region

PLAN = "arn:aws:sagemaker:eu-west-1:111122223333:training-plan/spring"
TOPIC = "arn:aws:sns:eu-west-1:111122223333:done"
FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:credentials"
NETWORK = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}

#: Of a parameter: values that AWS takes by themselves, and values that it does not.
Values = tuple[st.SearchStrategy[Any], list[Any]]


def whole(low: int, high: int, *, open_end: bool = False) -> Values:
    return st.integers(low, high), [low - 1, *([] if open_end else [high + 1])]


def one_of(*good: Any, bad: list[Any] | None = None) -> Values:
    return st.sampled_from(good), ["Other", ""] if bad is None else bad


def list_of(*good: Any, most: int, bad: list[Any]) -> Values:
    return st.lists(st.sampled_from(good), min_size=1, max_size=3), [
        [],
        [good[0]] * (most + 1),
        *([one] for one in bad),
    ]


S3: Values = (
    st.sampled_from(["s3://b", "s3://bucket/a/b", "https://b/c"]),
    ["b", "ftp://b", "s3://" + "b" * 508],
)
KEY: Values = (
    st.sampled_from(["alias/key", "1234abcd-12ab-34cd-56ef-1234567890ab"]),
    ["a key", "alias/k" * 400],
)
FLAG: Values = st.booleans(), []
SHORT: Values = st.text("abc.[]", min_size=1, max_size=64), ["", "a" * 65]
CONTENT_TYPES = list_of("text/csv", "application/json", most=10, bad=["csv", ""])

#: Each spec object: its shape, the parameters that it needs, and the others.
OBJECTS: dict[type[dict[str, Any]], tuple[Shape, dict[str, Values], dict[str, Values]]] = {
    DataCapture: (
        DATA_CAPTURE,
        {"destination_s3_uri": S3, "initial_sampling_percentage": whole(0, 100)},
        {
            "capture_options": list_of("Input", "Output", "InputAndOutput", most=32, bad=["Both"]),
            "enable_capture": FLAG,
            "kms_key_id": KEY,
            "csv_content_types": CONTENT_TYPES,
            "json_content_types": CONTENT_TYPES,
        },
    ),
    AsyncInference: (
        ASYNC_INFERENCE,
        {"s3_output_path": S3},
        {
            "s3_failure_path": S3,
            "kms_key_id": KEY,
            "success_topic": one_of(TOPIC),
            "error_topic": one_of(TOPIC),
            "include_inference_response_in": (
                st.lists(
                    st.sampled_from(["SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"]), max_size=2
                ),
                [["SUCCESS"], ["ERROR_NOTIFICATION_TOPIC"] * 3],
            ),
            "max_concurrent_invocations_per_instance": whole(1, 1000),
        },
    ),
    ManagedInstanceScaling: (
        MANAGED_SCALING,
        {},
        {
            "min_instance_count": whole(0, 5, open_end=True),
            "max_instance_count": whole(1, 5, open_end=True),
            "status": one_of("ENABLED", "DISABLED"),
            "scale_in_strategy": one_of("IDLE_RELEASE", "CONSOLIDATION"),
            "scale_in_maximum_step_size": whole(1, 100),
            "scale_in_cooldown_in_minutes": whole(5, 1440),
        },
    ),
    InstancePool: (
        INSTANCE_POOL,
        {
            "instance_type": one_of("ml.m5.large", "ml.g5.xlarge", bad=["m5", "ml.m5"]),
            "priority": whole(1, 5),
        },
        {"model_name_override": one_of("m", bad=["a_b", "a" * 64])},
    ),
    CapacityReservation: (
        CAPACITY_RESERVATION,
        {"ml_reservation_arn": one_of(PLAN, bad=["spring", PLAN + "g" * 258])},
        {"preference": one_of("capacity-reservations-only")},
    ),
    Routing: (
        ROUTING,
        {"strategy": one_of("LEAST_OUTSTANDING_REQUESTS", "RANDOM", "PREFIX_AWARE", "KV_AWARE")},
        {"prefix_length": whole(1024, 65536), "concurrency_threshold": whole(1, 1024)},
    ),
    Metrics: (
        METRICS,
        {},
        {
            "enable_enhanced_metrics": FLAG,
            "enable_detailed_observability": FLAG,
            "publish_frequency": one_of(10, 30, 60, 120, 180, 240, 300, bad=[0, 20, 600]),
        },
    ),
    VpcConfig: (
        VPC,
        {
            # Of distinct ids: that each stands there once is a rule of ours.
            "subnets": (
                st.integers(1, 16).map(lambda number: [f"subnet-{n}" for n in range(number)]),
                [[], [f"subnet-{n}" for n in range(17)], ["a b"], ["a" * 33]],
            ),
            "security_group_ids": (
                st.integers(1, 5).map(lambda number: [f"sg-{n}" for n in range(number)]),
                [[], [f"sg-{n}" for n in range(6)], ["a b"]],
            ),
        },
        {},
    ),
    MultiModel: (MULTI_MODEL, {}, {"model_cache_setting": one_of("Enabled", "Disabled")}),
    ImageAccess: (
        IMAGE_ACCESS,
        {"repository_access_mode": one_of("Platform", "Vpc")},
        {"repository_credentials_provider_arn": one_of(FUNCTION, bad=["", "f", FUNCTION + "f" * 2048])},
    ),
    ServerlessUpdate: (
        SERVERLESS_UPDATE,
        {"max_concurrency": whole(1, 200)},
        {"provisioned_concurrency": whole(1, 200)},
    ),
    Explainer: (
        EXPLAINER,
        {},
        {
            "shap_baseline": (st.text("1,\n", min_size=1, max_size=9), ["", "1" * 4097]),
            "shap_baseline_uri": one_of("s3://bucket/key", bad=["key", "s3://b/" + "k" * 1024]),
            "mime_type": one_of("text/csv", "application/jsonlines", bad=["csv"]),
            "number_of_samples": whole(1, 99, open_end=True),
            "use_logit": FLAG,
            "seed": (st.integers(-(2**31), 2**31 - 1), []),
            "text_language": one_of("en", "de", "xx", bad=["English", ""]),
            "text_granularity": one_of("token", "sentence", "paragraph"),
            "enable_explanations": SHORT,
            "features_attribute": SHORT,
            "content_template": SHORT,
            "max_record_count": whole(1, 99, open_end=True),
            "max_payload_in_mb": whole(1, 25),
            "probability_index": whole(0, 9, open_end=True),
            "probability_attribute": SHORT,
            "label_index": whole(0, 9, open_end=True),
            "label_attribute": SHORT,
            "label_headers": list_of("yes", "no", most=16, bad=["", "a" * 65]),
            "feature_headers": list_of("age", most=256, bad=["", "a" * 65]),
            "feature_types": list_of("text", "numerical", "categorical", most=256, bad=["words"]),
        },
    ),
}


@cache
def region() -> Region:
    return Region(Path(mkdtemp(prefix="sm-hosting-tests-")))


_numbers = itertools.count()


def new_name() -> str:
    return f"n{next(_numbers)}"


def refusal(operation: str, request: Mapping[str, Any]) -> str | None:
    """Return why botocore's model or the local AWS refuses a request; None if they take it."""
    found = list(violations(input_shape("sagemaker", operation), request))
    try:
        region().ask(operation, **request)
    except AwsError as error:
        return error.message
    assert not found, f"the local AWS takes what botocore's model does not: {found}"
    return None


def of_config(**members: Any) -> str | None:
    variants = members.pop("ProductionVariants", None) or [region().variant()]
    request = {"EndpointConfigName": new_name(), "ProductionVariants": variants, **members}
    return refusal("CreateEndpointConfig", request)


def of_variant(**members: Any) -> str | None:
    variant = {**region().variant(), **members}
    if "InstancePools" in members:
        del variant["InstanceType"]
    if "ManagedInstanceScaling" in members:
        del variant["ModelName"]
    return of_config(ProductionVariants=[variant], ExecutionRoleArn=ROLE)


def of_container(**members: Any) -> str | None:
    container = {"Image": FOREIGN_IMAGE, **members}
    return refusal(
        "CreateModel",
        {
            "ModelName": new_name(),
            "ExecutionRoleArn": ROLE,
            "PrimaryContainer": container,
            "VpcConfig": NETWORK,
        },
    )


def of_update(update: Any) -> str | None:
    name = new_name()
    serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": 200}
    variant = {"VariantName": "main", "ModelName": "m", "ServerlessConfig": serverless}
    region().ask("CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=[variant])
    region().ask("CreateEndpoint", EndpointName=name, EndpointConfigName=name)
    region().clock.advance(60)
    try:
        return refusal(
            "UpdateEndpointWeightsAndCapacities",
            {
                "EndpointName": name,
                "DesiredWeightsAndCapacities": [{"VariantName": "main", "ServerlessUpdateConfig": update}],
            },
        )
    finally:
        region().clock.advance(60)
        region().ask("DeleteEndpoint", EndpointName=name)
        region().clock.advance(60)


#: Where each object stands in a request.
PLACES: dict[type[dict[str, Any]], Callable[[Any], str | None]] = {
    DataCapture: lambda one: of_config(DataCaptureConfig=one),
    AsyncInference: lambda one: of_config(AsyncInferenceConfig=one),
    Explainer: lambda one: of_config(ExplainerConfig=one),
    Metrics: lambda one: of_config(MetricsConfig=one),
    VpcConfig: lambda one: of_config(VpcConfig=one),
    ManagedInstanceScaling: lambda one: of_variant(ManagedInstanceScaling=one),
    InstancePool: lambda one: of_variant(InstancePools=[one]),
    CapacityReservation: lambda one: of_variant(CapacityReservationConfig=one),
    Routing: lambda one: of_variant(RoutingConfig=one),
    MultiModel: lambda one: of_container(Mode="MultiModel", MultiModelConfig=one),
    ImageAccess: lambda one: of_container(ImageConfig=one),
    ServerlessUpdate: of_update,
}


def arguments(kind: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Return arguments of an object: values that AWS takes by themselves, but for one perhaps."""
    _, needed, others = OBJECTS[kind]
    known = {**needed, **others}
    good = st.fixed_dictionaries(
        {name: values for name, (values, _) in needed.items()},
        optional={name: values for name, (values, _) in others.items()},
    )
    bad = [(name, value) for name, (_, values) in known.items() for value in values]
    mutation = st.none() | st.sampled_from(bad)
    return st.tuples(good, mutation).map(
        lambda pair: pair[0] if pair[1] is None else {**pair[0], pair[1][0]: pair[1][1]}
    )


def unchecked(kind: Any, given_arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an object would be if it checked nothing."""
    made: dict[str, Any] = {}
    for name, value in given_arguments.items():
        path, _ = OBJECTS[kind][0].members[name]
        *parents, last = path.split(".")
        place = made
        for parent in parents:
            place = place.setdefault(parent, {})
        if last == "CaptureOptions":
            value = [{"CaptureMode": mode} for mode in value]
        place[last] = value
    if kind is DataCapture:
        made.setdefault("CaptureOptions", [{"CaptureMode": "Input"}])
    return made


@pytest.mark.parametrize("kind", OBJECTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_object_takes_what_sagemaker_takes(kind: Any, data: st.DataObject) -> None:
    options = data.draw(arguments(kind))
    assume(options or kind is not Explainer)  # an ExplainerConfig of nothing explains nothing
    try:
        made, refused = kind(**options), None
    except InvalidSpecError as error:
        made, refused = unchecked(kind, options), str(error)
    found = PLACES[kind](made)
    assert (refused is None) == (found is None), f"we say {refused!r}, AWS says {found!r} of {made}"


def test_every_object_is_tested() -> None:
    assert OBJECTS.keys() == PLACES.keys()
    for shape, needed, others in OBJECTS.values():
        assert shape.members.keys() == needed.keys() | others.keys()


#: Parts of an endpoint config, each with what it is in the request.
PARTS: dict[str, dict[str, Any]] = {
    "capture": {
        "DataCaptureConfig": DataCapture(destination_s3_uri="s3://b/c", initial_sampling_percentage=1)
    },
    "async": {"AsyncInferenceConfig": AsyncInference(s3_output_path="s3://b/out")},
    "explainer": {"ExplainerConfig": Explainer(shap_baseline="1,2")},
    "metrics": {"MetricsConfig": Metrics(publish_frequency=10)},
    "routers": {
        "CrossRegionTrafficConfig": {
            "MaxInvocationsPerSecondPerInstance": 1,
            "MaxCrossRegionPercentPerEndpoint": 1,
        }
    },
    "vpc": {"VpcConfig": VpcConfig(subnets=["subnet-1"], security_group_ids=["sg-1"])},
    "isolation": {"EnableNetworkIsolation": True},
    "shadow": {
        "ShadowProductionVariants": [InstanceProductionVariant(model_name="m", variant_name="shadow")]
    },
    "inf1 shadow": {
        "ShadowProductionVariants": [
            InstanceProductionVariant(model_name="m", variant_name="shadow", instance_type="ml.inf1.xlarge")
        ]
    },
}
INSTANCE = InstanceProductionVariant(model_name="m", variant_name="main")
HOST = InstanceProductionVariant(variant_name="main")
CALM = ServerlessProductionVariant(
    model_name="m", variant_name="main", max_concurrency=5, memory_size_in_mb=1024
)
POOLED = {name: value for name, value in INSTANCE.items() if name != "InstanceType"}
POOLS = {"InstancePools": [InstancePool(instance_type="ml.m5.large", priority=1)]}
RESERVED = {"CapacityReservationConfig": CapacityReservation(ml_reservation_arn=PLAN)}
#: Variants of a config, and members that one of them may have.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "one": [INSTANCE],
    "two": [INSTANCE, InstanceProductionVariant(model_name="m", variant_name="other")],
    "twice": [INSTANCE, INSTANCE],
    "serverless": [CALM],
    "two serverless": [CALM, {**CALM, "VariantName": "other"}],
    "mixed": [CALM, InstanceProductionVariant(model_name="m", variant_name="other")],
    "host": [HOST],
    "pools": [{**POOLED, **POOLS}],
    "pools of a type twice": [{**POOLED, "InstancePools": POOLS["InstancePools"] * 2}],
}
MEMBERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "pools": POOLS,
    "reservation": RESERVED,
    "managed": {"ManagedInstanceScaling": ManagedInstanceScaling(max_instance_count=2)},
    "routing": {"RoutingConfig": Routing(strategy="RANDOM")},
    "access": {"EnableSSMAccess": True},
    "timeout": {"VariantInstanceProvisionTimeoutInSeconds": 600},
    "ami": {"InferenceAmiVersion": "al2-ami-sagemaker-inference-gpu-2"},
    "dump": {"CoreDumpConfig": {"DestinationS3Uri": "s3://b/dumps"}},
}


def check_same(variants: list[dict[str, Any]], members: Mapping[str, Any]) -> None:
    """Hold that our check of a config and the local AWS say the same of it."""
    names = {
        "DataCaptureConfig": "data_capture_config",
        "AsyncInferenceConfig": "async_inference_config",
        "ExplainerConfig": "explainer_config",
        "MetricsConfig": "metrics_config",
        "CrossRegionTrafficConfig": "cross_region_traffic_config",
        "VpcConfig": "vpc_config",
        "EnableNetworkIsolation": "enable_network_isolation",
        "ShadowProductionVariants": "shadow_production_variants",
        "ExecutionRoleArn": "execution_role",
    }
    refused = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_endpoint_config(
                production_variants=variants, **{names[member]: value for member, value in members.items()}
            )
    except InvalidSpecError as error:
        refused = str(error)
    found = of_config(ProductionVariants=variants, **members)
    assert (refused is None) == (found is None), f"we say {refused!r}, AWS says {found!r}"


@given(
    st.sampled_from(sorted(VARIANTS)),
    st.sampled_from(sorted(MEMBERS)),
    st.sets(st.sampled_from(sorted(PARTS)), max_size=4),
    st.booleans(),
)
def test_what_a_config_may_have_together(variants: str, member: str, parts: set[str], has_role: bool) -> None:
    first, *others = VARIANTS[variants]
    more = {"ExecutionRoleArn": ROLE} if has_role else {}
    for part in sorted(parts):
        more |= PARTS[part]
    check_same([{**first, **MEMBERS[member]}, *others], more)


@pytest.mark.exhaustive
def test_all_pairs_of_what_a_config_may_have() -> None:
    """Each kind of variants, with each member, and each pair of parts."""
    pairs = [(), *((one,) for one in PARTS), *itertools.combinations(PARTS, 2)]
    for variants, member, parts in itertools.product(VARIANTS.values(), MEMBERS.values(), pairs):
        more: dict[str, Any] = {"ExecutionRoleArn": ROLE}
        for part in parts:
            more |= PARTS[part]
        check_same([{**variants[0], **member}, *variants[1:]], more)


@given(
    st.sampled_from(["SingleModel", "MultiModel", None]),
    st.booleans(),
    st.none() | st.sampled_from(["Platform", "Vpc"]),
    st.booleans(),
)
def test_what_a_model_may_have_together(
    mode: str | None, has_settings: bool, access: str | None, has_vpc: bool
) -> None:
    refused = None
    container: dict[str, Any] = {"Image": FOREIGN_IMAGE, **({"Mode": mode} if mode else {})}
    if has_settings:
        container["MultiModelConfig"] = MultiModel(model_cache_setting="Disabled")
    if access:
        container["ImageConfig"] = ImageAccess(repository_access_mode=access)
    try:
        check_model(containers=[container], vpc_config=NETWORK if has_vpc else None)
        ContainerDefinition(
            image=FOREIGN_IMAGE, mode=mode, **{k: v for k, v in container.items() if k.endswith("Config")}
        )
    except InvalidSpecError as error:
        refused = str(error)
    network = {"VpcConfig": NETWORK} if has_vpc else {}
    found = refusal(
        "CreateModel",
        {"ModelName": new_name(), "ExecutionRoleArn": ROLE, "PrimaryContainer": container, **network},
    )
    assert (refused is None) == (found is None), f"we say {refused!r}, AWS says {found!r} of {container}"


# Inference components. Those that do not fit are created, and fail later: what is refused is the request.


@cache
def host() -> str:
    """Return an endpoint for components."""
    name = new_name()
    region().ask(
        "CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=[HOST], ExecutionRoleArn=ROLE
    )
    region().ask("CreateEndpoint", EndpointName=name, EndpointConfigName=name)
    region().clock.advance(60)
    return name


#: Arguments of what a component needs, with the members that they make.
NEEDS: dict[str, tuple[str, Values]] = {
    "min_memory_in_mb": ("MinMemoryRequiredInMb", whole(128, 256, open_end=True)),
    "max_memory_in_mb": ("MaxMemoryRequiredInMb", whole(128, 512, open_end=True)),
    "cpu_cores": ("NumberOfCpuCoresRequired", (st.sampled_from([0.25, 1, 2.5]), [0.2, 0])),
    "accelerators": ("NumberOfAcceleratorDevicesRequired", (st.sampled_from([1, 2.0]), [0.5, 0])),
    "accelerator_partition_type": (
        "AcceleratorPartitionType",
        one_of("mig-1g.10gb", "mig-3g.40gb", bad=["1g.10gb", "mig-1g.10gb" + "+me" * 9]),
    ),
}


@pytest.mark.slow
@given(data=st.data())
def test_requirements_of_a_component(data: st.DataObject) -> None:
    good = data.draw(
        st.fixed_dictionaries(
            {"min_memory_in_mb": NEEDS["min_memory_in_mb"][1][0]},
            optional={name: values for name, (_, (values, _)) in NEEDS.items() if name != "min_memory_in_mb"},
        )
    )
    bad = [(name, value) for name, (_, (_, values)) in NEEDS.items() for value in values]
    options = good | dict([data.draw(st.sampled_from(bad))] if data.draw(st.booleans()) else [])
    refused = None
    made: dict[str, Any] = {NEEDS[name][0]: value for name, value in options.items()}
    try:
        assert ComputeRequirements(**options) == made
    except InvalidSpecError as error:
        refused = str(error)
    found = of_component({"ModelName": "m", "ComputeResourceRequirements": made})
    assert (refused is None) == (found is None), f"we say {refused!r}, AWS says {found!r} of {made}"


def of_component(specification: Mapping[str, Any]) -> str | None:
    request = {
        "InferenceComponentName": new_name(),
        "EndpointName": host(),
        "VariantName": "main",
        "Specification": specification,
        "RuntimeConfig": {"CopyCount": 1},
    }
    return refusal("CreateInferenceComponent", request)


@given(
    st.sets(st.sampled_from(["ModelName", "Container", "ComputeResourceRequirements"])),
    st.none() | st.sampled_from(["SPREAD", "BINPACK", "OTHER"]),
    st.none() | st.sampled_from([59, 60, 3600, 3601]),
)
def test_what_a_specification_may_have_together(
    members: set[str], placement: str | None, timeout: int | None
) -> None:
    known = {
        "ModelName": "m",
        "Container": {"Image": FOREIGN_IMAGE},
        "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128},
    }
    made: dict[str, Any] = {member: known[member] for member in members}
    if placement:
        made["SchedulingConfig"] = {"PlacementStrategy": placement}
    if timeout:
        made["StartupParameters"] = {"ModelDataDownloadTimeoutInSeconds": timeout}
    refused = None
    try:
        check_specification("specification", made)
    except InvalidSpecError as error:
        refused = str(error)
    found = of_component(made)
    assert (refused is None) == (found is None), f"we say {refused!r}, AWS says {found!r} of {made}"
