"""What may be asked for, and what that means: hypothesis strategies of operator parameters.

Each gives the parameters as a user may write them (tags, URLs of every form, timedeltas, references), and what AWS must describe then.
"""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

from airflow_sm_hosting import (
    ContainerDefinition,
    ContainerImage,
    EndpointMetric,
    InstanceProductionVariant,
    InvocationsScaling,
    MetricMath,
    ModelData,
    ScheduledScaling,
    ServerlessProductionVariant,
    StepScaling,
    TargetTrackingScaling,
)
from tests.operators.conftest import IMAGE

#: What the tests put into the local AWS before they ask.
REPOSITORY, TAG = "team/app", "v1.2"
BUCKET, OBJECT, PREFIX = "models", "churn/model.tar.gz", "llm/v1"
CONTENT_OBJECT = f"churn/{'c' * 64}.tar.gz"
ROLE_NAME = "Hosting"
ROLE = f"arn:aws:iam::123456789012:role/{ROLE_NAME}"
MODELS = ("model-a", "model-b", "model-c")

LATER = ("{{", "{%", "{#")  # would be rendered


class Ask(NamedTuple):
    """An ask.

    :param given: Parameters as a user writes them.
    :param meaning: Parameters that mean the same, in the one form that the reader tells them in.
    """

    given: dict[str, Any]
    meaning: dict[str, Any]


def _name(first: str = string.ascii_lowercase, longest: int = 20) -> st.SearchStrategy[str]:
    inner = st.text(string.ascii_letters + string.digits + "-", max_size=longest)
    return st.builds("{}{}{}".format, st.sampled_from(first), inner, st.sampled_from("az09")).map(
        lambda name: name.replace("--", "-")
    )


names = _name()
# Both cases of a letter, so that nothing is folded; digits first, and what JavaScript would trip over.
variant_names = _name(string.ascii_letters + string.digits) | st.sampled_from(
    ["2", "10", "toString", "AllTraffic"]
)
texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=40
).filter(lambda text: not any(mark in text for mark in LATER))
shown_texts = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=40).filter(
    lambda text: text.strip() == text and not any(mark in text for mark in LATER)
)
#: Strings that would be taken for something else by who types carelessly.
tricky = st.sampled_from(
    ["", "1", "1.0", "True", "false", "None", "null", "[1, 2]", '{"a": 1}', " a ", "0x10"]
)
environments = st.dictionaries(
    st.builds(
        "{}{}".format,
        st.sampled_from(string.ascii_letters + "_"),
        st.text(string.ascii_letters + string.digits + "_", max_size=12),
    ),
    texts | tricky,
    max_size=5,
)
tags = st.dictionaries(
    st.text(string.ascii_letters + string.digits + " _.:/=+-@", min_size=1, max_size=20).filter(
        lambda key: key.strip() == key and not key.lower().startswith(("aws:", "sm-hosting:"))
    ),
    st.text(string.ascii_letters + string.digits + " _.:/=+-@", max_size=20).filter(
        lambda value: value.strip() == value
    ),
    max_size=4,
)


def _some(*strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.one_of(*strategies)


def _without_none(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def seconds(low: int, high: int) -> st.SearchStrategy[tuple[Any, int]]:
    """Return a duration as a number or a timedelta, and its seconds."""
    return st.builds(
        lambda number, as_delta: (timedelta(seconds=number) if as_delta else number, number),
        st.integers(low, high),
        st.booleans(),
    )


# Models


def images(registry: str, pushed: str) -> st.SearchStrategy[tuple[Any, str]]:
    """Return an image as it may be written, and the URI that is sent.

    :param registry: The local registry's host.
    :param pushed: Digest of ``team/app:v1.2`` there.
    """
    dlc = f"763104351884.dkr.ecr.us-east-1.amazonaws.com/{REPOSITORY}"
    own = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{REPOSITORY}"
    return st.one_of(
        st.just((IMAGE, IMAGE)),
        st.just(("registry.example.com:5000/team/app:1", "registry.example.com:5000/team/app:1")),
        st.just((f"{own}:{TAG}", f"{own}@{pushed}")),
        st.just((ContainerImage.from_ecr_repository(REPOSITORY, TAG), f"{registry}/{REPOSITORY}@{pushed}")),
        st.just(
            (
                ContainerImage.from_ecr_repository(REPOSITORY, TAG, registry_id="123456789012"),
                f"{own}@{pushed}",
            )
        ),
        st.just(
            (
                ContainerImage.from_ecr_repository(REPOSITORY, digest=pushed),
                f"{registry}/{REPOSITORY}@{pushed}",
            )
        ),
        st.just((ContainerImage.from_dlc(REPOSITORY, TAG), f"{dlc}@{pushed}")),
    )


OWN, UPLOADED, UNCOMPRESSED = (f"s3://{BUCKET}/{place}" for place in (OBJECT, CONTENT_OBJECT, f"{PREFIX}/"))
#: Model data as it may be written, and its ``s3://`` URL.
model_data = st.sampled_from(
    [
        (OWN, OWN),
        (UPLOADED, UPLOADED),
        (f"https://s3.us-east-1.amazonaws.com/{BUCKET}/{OBJECT}", OWN),
        (f"https://{BUCKET}.s3.us-east-1.amazonaws.com/{OBJECT}", OWN),
        (ModelData.from_bucket(BUCKET, OBJECT), OWN),
        (ModelData.from_prefix(BUCKET, PREFIX), UNCOMPRESSED),
        (ModelData.from_prefix(BUCKET, f"{PREFIX}/"), UNCOMPRESSED),
        (UNCOMPRESSED, UNCOMPRESSED),
    ]
)


@st.composite
def containers(draw: Any, image_strategy: Any, hostname: str | None) -> tuple[Any, Any]:
    image, uri = draw(image_strategy)
    data, url = draw(st.none() | model_data) or (None, None)
    further = _without_none(
        {
            "environment": draw(st.none() | environments),
            "container_hostname": hostname,
            "mode": draw(st.none() | st.just("SingleModel")),
            "ImageConfig": draw(st.none() | st.just({"RepositoryAccessMode": "Platform"})),
        }
    )
    given = ContainerDefinition(**_without_none({"image": image, "model_data": data, **further}))
    # What DescribeModel shows of a container that was given neither.
    shown = {"environment": {}, "mode": "SingleModel", **further}
    meaning = ContainerDefinition(**_without_none({"image": uri, "model_data": url, **shown}))
    return given, meaning


@st.composite
def models(draw: Any, registry: str, pushed: str) -> Ask:
    number = draw(st.integers(1, 3) | st.integers(1, 15))
    hostnames: list[str | None] = [None] * number
    if draw(st.booleans()):
        hostnames = draw(st.lists(names, min_size=number, max_size=number, unique_by=str.lower))
    image_strategy = images(registry, pushed)
    made = [draw(containers(image_strategy, hostname)) for hostname in hostnames]
    role = draw(st.none() | st.sampled_from([ROLE, ROLE_NAME]))
    subnets = draw(st.none() | st.lists(_ids("subnet"), min_size=1, max_size=16, unique=True))
    groups = subnets and draw(st.lists(_ids("sg"), min_size=1, max_size=5, unique=True))
    modes = ["Serial", "Direct"] if all(hostnames) else ["Serial"]
    options = _without_none(
        {
            "subnets": subnets,
            "security_group_ids": groups,
            "inference_execution_mode": draw(st.none() | st.sampled_from(modes)) if number > 1 else None,
        }
    )
    isolation = draw(st.none() | st.booleans())
    return Ask(
        {
            "model_name": draw(names),
            "containers": [given for given, _ in made],
            "tags": draw(st.none() | tags),
            **options,
            **_without_none({"execution_role": role, "enable_network_isolation": isolation}),
        },
        {
            "containers": [meaning for _, meaning in made],
            "enable_network_isolation": bool(isolation),  # AWS shows the default
            **options,
            **_without_none({"execution_role": role and ROLE}),
        },
    )


def _ids(prefix: str) -> st.SearchStrategy[str]:
    return st.integers(0, 16**8 - 1).map(lambda number: f"{prefix}-{number:08x}")


# Endpoint configs

weights = st.sampled_from([0, 0.0, 0.1, 1, 1.0, 2.5, 1e-3, 1000]) | st.floats(
    0.015625, 1e6, width=32, allow_nan=False
)
instance_types = st.sampled_from(
    ["ml.t2.medium", "ml.m5.large", "ml.c6i.32xlarge", "ml.g5.xlarge", "ml.trn1.2xlarge", "ml.p5.48xlarge"]
)


@st.composite
def instance_variants(draw: Any, name: str, weight: Any) -> tuple[Any, Any]:
    startup = draw(st.none() | seconds(60, 3600)) or (None, None)
    download = draw(st.none() | seconds(60, 3600)) or (None, None)
    instance_type, count = draw(st.none() | instance_types), draw(st.none() | st.integers(1, 1000))
    plain = _without_none(
        {
            "volume_size_in_gb": draw(st.none() | st.integers(1, 512)),
            "EnableSSMAccess": draw(st.none() | st.booleans()),
            "InferenceAmiVersion": draw(st.none() | st.just("al2-ami-sagemaker-inference-gpu-2")),
            "RoutingConfig": draw(
                st.none()
                | st.sampled_from(["LEAST_OUTSTANDING_REQUESTS", "RANDOM"]).map(
                    lambda strategy: {"RoutingStrategy": strategy}
                )
            ),
        }
    )
    model = draw(st.sampled_from(MODELS))

    def variant(index: int, **defaults: Any) -> InstanceProductionVariant:
        return InstanceProductionVariant(
            model_name=model,
            variant_name=name,
            **{
                **defaults,
                **_without_none(
                    {
                        "instance_type": instance_type,
                        "initial_instance_count": count,
                        "initial_variant_weight": weight,
                        "container_startup_health_check_timeout": startup[index],
                        "model_data_download_timeout": download[index],
                    }
                ),
            },
            **plain,
        )

    defaults = {"instance_type": "ml.t2.medium", "initial_instance_count": 1, "initial_variant_weight": 1.0}
    return variant(0), variant(1, **defaults)


@st.composite
def serverless_variants(draw: Any) -> Any:
    concurrency = draw(st.integers(1, 200))
    return ServerlessProductionVariant(
        model_name=draw(st.sampled_from(MODELS)),
        variant_name=draw(variant_names),
        max_concurrency=concurrency,
        memory_size_in_mb=draw(st.sampled_from([1024, 2048, 3072, 4096, 5120, 6144])),
        **_without_none(
            {
                "provisioned_concurrency": draw(st.none() | st.integers(1, concurrency)),
                "initial_variant_weight": draw(st.none() | weights.filter(bool)),
            }
        ),
    )


DATA_CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 50,
    "DestinationS3Uri": f"s3://{BUCKET}/captured",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
}
ASYNC = {
    "OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/answers"},
    "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 4},
}


@st.composite
def endpoint_configs(draw: Any, serverless: bool | None = None) -> Ask:
    """Return an endpoint config.

    :param serverless: Whether it has a serverless variant (default: one in four).
    """
    options = {}
    if draw(st.integers(0, 3)) == 0 if serverless is None else serverless:
        variant = draw(serverless_variants())
        given, meaning = [variant], [variant]
    else:
        named = draw(st.lists(variant_names, min_size=1, max_size=10, unique_by=str.lower))
        shares = [draw(st.none() | weights) for _ in named]
        if not any(share is None or share > 0 for share in shares):
            shares[0] = 1  # some variant must take the traffic
        made = [draw(instance_variants(name, share)) for name, share in zip(named, shares, strict=True)]
        given, meaning = [one for one, _ in made], [other for _, other in made]
        options = _without_none(
            {
                "data_capture_config": draw(st.none() | st.just(DATA_CAPTURE)),
                "async_inference_config": draw(st.none() | st.just(ASYNC)) if len(named) == 1 else None,
            }
        )
    key = draw(st.none() | st.sampled_from(["alias/hosting", "arn:aws:kms:us-east-1:123456789012:key/k"]))
    options |= _without_none({"kms_key_id": key})
    return Ask(
        {
            "endpoint_config_name": draw(names),
            "production_variants": given,
            "tags": draw(st.none() | tags),
            **options,
        },
        {"production_variants": meaning, **options},
    )


def one_or_two(asked: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Return an ask, or one and what is asked for afterwards."""
    return st.lists(asked, min_size=1, max_size=2)


def deployments() -> st.SearchStrategy[list[tuple[Ask, dict[str, str]]]]:
    """Return configs of one endpoint and its tags: UpdateEndpoint does not change between the two kinds of variant."""
    return st.integers(0, 3).flatmap(
        lambda number: one_or_two(st.tuples(endpoint_configs(serverless=number == 0), tags))
    )


# Autoscaling


def _cooldowns() -> st.SearchStrategy[dict[str, tuple[Any, int]]]:
    return st.fixed_dictionaries(
        {}, optional={name: seconds(0, 3600) for name in ("scale_in_cooldown", "scale_out_cooldown")}
    )


@st.composite
def _invocations(draw: Any) -> tuple[Any, Any]:
    rate = draw(st.integers(1, 5000) | st.floats(0.01, 5000))
    factor = draw(st.none() | st.sampled_from([0.1, 0.3, 0.8, 1, 1.0]))
    return _tracked(
        draw,
        "invocations",
        lambda **options: InvocationsScaling(
            max_requests_per_second=rate, **_without_none({"safety_factor": factor}), **options
        ),
        {
            "predefined_metric": "SageMakerVariantInvocationsPerInstance",
            "target_value": (factor or 0.5) * rate * 60,
        },
    )


@st.composite
def _predefined(draw: Any) -> tuple[Any, Any]:
    metric = {
        "predefined_metric": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
        "target_value": draw(st.integers(1, 1000) | st.floats(0.5, 1000)),
    }
    return _tracked(draw, "concurrency", lambda **options: TargetTrackingScaling(**metric, **options), metric)


@st.composite
def _customized(draw: Any) -> tuple[Any, Any]:
    metric = {
        "customized_metric": {
            "MetricName": "CPUUtilization",
            "Namespace": "/aws/sagemaker/Endpoints",
            "Dimensions": [
                {"Name": "EndpointName", "Value": "churn"},
                {"Name": "VariantName", "Value": "main"},
            ],
            "Statistic": draw(st.sampled_from(["Average", "Maximum"])),
            **_without_none({"Unit": draw(st.none() | st.just("Percent"))}),
        },
        "target_value": draw(st.integers(1, 400) | st.floats(0.5, 400)),
    }
    return _tracked(draw, "cpu", lambda **options: TargetTrackingScaling(**metric, **options), metric)


def _tracked(draw: Any, name: str, given: Any, metric: dict[str, Any]) -> tuple[Any, Any]:
    cooldowns = draw(_cooldowns())
    options = _without_none({"policy_name": name, "disable_scale_in": draw(st.none() | st.booleans())})
    return (
        given(**options, **{each: value for each, (value, _) in cooldowns.items()}),
        TargetTrackingScaling(
            **metric, **options, **{each: number for each, (_, number) in cooldowns.items()}
        ),
    )


@st.composite
def _steps(draw: Any) -> tuple[Any, Any]:
    bounds = draw(st.lists(st.integers(0, 1000), min_size=1, max_size=4, unique=True).map(sorted))
    adjustment = draw(st.sampled_from(["ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"]))
    steps = [
        {
            "MetricIntervalLowerBound": float(low),
            **({"MetricIntervalUpperBound": float(high)} if high is not None else {}),
            "ScalingAdjustment": draw(st.integers(1, 20)),
        }
        for low, high in zip(bounds, [*bounds[1:], None], strict=True)
    ]
    cooldown = draw(st.none() | seconds(0, 3600)) or (None, None)
    options = _without_none(
        {
            "policy_name": "step",
            "step_adjustments": steps,
            "adjustment_type": adjustment,
            "metric_aggregation_type": draw(st.none() | st.sampled_from(["Average", "Minimum", "Maximum"])),
            "min_adjustment_magnitude": draw(st.none() | st.integers(1, 5))
            if adjustment == "PercentChangeInCapacity"
            else None,
        }
    )
    return (
        StepScaling(**options, **_without_none({"cooldown": cooldown[0]})),
        StepScaling(**options, **_without_none({"cooldown": cooldown[1]})),
    )


moments = st.datetimes(datetime(2030, 1, 1), datetime(2034, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
schedules = st.sampled_from(
    [
        "at(2031-01-01T08:00:00)",
        "rate(5 minutes)",
        "rate(1 day)",
        "cron(0 8 ? * MON-FRI *)",
        "cron(30 6 1 * ? *)",
    ]
)


@st.composite
def _schedules(draw: Any, name: str, initial: int, maximum: int) -> tuple[Any, Any]:
    low, high = draw(st.integers(1, initial)), draw(st.integers(initial, maximum))
    start, end = draw(st.tuples(st.none() | moments, st.none() | moments))
    if start and end and not start < end:
        start, end = end, start + timedelta(days=1) if start == end else start
    which = draw(st.sampled_from(["both", "min", "max"]))
    timezone, schedule = draw(st.none() | st.sampled_from(["Europe/Berlin", "UTC"])), draw(schedules)

    def action(timezone: str | None) -> ScheduledScaling:
        return ScheduledScaling(
            scheduled_action_name=name,
            schedule=schedule,
            **_without_none(
                {
                    "min_capacity": low if which != "max" else None,
                    "max_capacity": high if which != "min" else None,
                    "timezone": timezone,
                    "start_time": start,
                    "end_time": end,
                }
            ),
        )

    return action(timezone), action(None if timezone == "UTC" else timezone)


@st.composite
def scalings(draw: Any, initial: int) -> Ask:
    """Return the scaling of a variant that starts with so many instances."""
    minimum = draw(st.none() | st.integers(1, initial))
    maximum = draw(st.integers(initial, 100))
    made = [
        draw(one) for one in (_invocations(), _predefined(), _customized(), _steps()) if draw(st.booleans())
    ]
    actions = [
        draw(_schedules(name, initial, maximum))
        for name in draw(st.lists(st.sampled_from(["morning", "Night shift", "weekend"]), unique=True))
    ]
    return Ask(
        _without_none(
            {
                "min_capacity": minimum,
                "max_capacity": maximum,
                "policies": [given for given, _ in made],
                "scheduled_actions": [given for given, _ in actions],
            }
        ),
        {
            "min_capacity": initial if minimum is None else minimum,
            "max_capacity": maximum,
            "policies": [meaning for _, meaning in made],
            "scheduled_actions": [meaning for _, meaning in actions],
        },
    )


# Alarms

METRICS = {
    "Invocations": (EndpointMetric.invocations, "None"),
    "InvocationsPerInstance": (EndpointMetric.invocations_per_instance, "None"),
    "ModelLatency": (EndpointMetric.model_latency, "Microseconds"),
    "OverheadLatency": (EndpointMetric.overhead_latency, "Microseconds"),
    "Invocation4XXErrors": (EndpointMetric.invocation_4xx_errors, "None"),
    "Invocation5XXErrors": (EndpointMetric.invocation_5xx_errors, "None"),
    "CPUUtilization": (EndpointMetric.cpu_utilization, "Percent"),
    "MemoryUtilization": (EndpointMetric.memory_utilization, "Percent"),
    "DiskUtilization": (EndpointMetric.disk_utilization, "Percent"),
    "GPUUtilization": (EndpointMetric.gpu_utilization, "Percent"),
    "GPUMemoryUtilization": (EndpointMetric.gpu_memory_utilization, "Percent"),
}
LATENCIES = ("ModelLatency", "OverheadLatency")
PERCENTILES = ("p99", "p99.9", "p50")
OTHER_STATISTICS = ("tm90", "TM(10%:90%)", "wm95", "tc99", "TS(5:50)", "PR(:50)", "IQM")
periods = st.sampled_from([10, 20, 30, 60, 300, 3600]).map(lambda number: (number, number)) | st.integers(
    1, 120
).map(lambda minutes: (timedelta(minutes=minutes), minutes * 60))
actions = st.lists(
    st.integers(1, 99).map(lambda number: f"arn:aws:sns:us-east-1:123456789012:topic{number}"),
    max_size=5,
    unique=True,
)


@st.composite
def single_metrics(draw: Any, name: str, own: dict[str, str]) -> tuple[Any, Any]:
    """Return a metric as it is written, and with everything that is left to defaults.

    :param name: One of ``METRICS``.
    :param own: The dimensions of endpoint and variant.
    """
    make, unit = METRICS[name]
    period, number = draw(st.none() | periods) or (None, 300)
    # Invocations are published as sums (developer guide); of the rest, any statistic is.
    counted = name.startswith("Invocation")
    statistics = ["Sum"] if counted else ["Average", "Minimum", "Maximum", *PERCENTILES, *OTHER_STATISTICS]
    further = {**own, "EndpointConfigName": "c1"}
    options = _without_none(
        {
            "unit": draw(st.none() | st.just(unit)),
            "label": draw(st.none() | shown_texts),
            "dimensions": draw(st.none() | st.just(further)),
            "account_id": draw(st.none() | st.just("210987654321")),
        }
    )
    given = make(
        **_without_none({"period": period, "statistic": draw(st.none() | st.sampled_from(statistics))}),
        **options,
    )
    meaning = EndpointMetric(
        given["Namespace"],
        given["MetricName"],
        period=number,
        statistic=given["Statistic"],
        **{"dimensions": own, **options},
    )
    return given, meaning


@st.composite
def error_rates(draw: Any, own: dict[str, str]) -> tuple[Any, Any]:
    period, number = draw(st.none() | periods) or (None, 300)
    server, client = draw(st.sampled_from([(True, False), (True, True), (False, True)]))
    given = EndpointMetric.error_rate(
        server_errors=server, client_errors=client, **_without_none({"period": period})
    )
    named = {"server_errors": EndpointMetric.invocation_5xx_errors} if server else {}
    named |= {"client_errors": EndpointMetric.invocation_4xx_errors} if client else {}
    meaning = MetricMath(
        expression=f"100 * ({' + '.join(named)}) / invocations",
        metrics={
            name: make(period=number, dimensions=own)
            for name, make in {**named, "invocations": EndpointMetric.invocations}.items()
        },
        label="ErrorRate",
    )
    return given, meaning


@st.composite
def alarms(draw: Any, endpoint_name: str, variant_name: str) -> Ask:
    own = {"EndpointName": endpoint_name, "VariantName": variant_name}
    name = draw(st.sampled_from(["error rate", *sorted(METRICS)]))
    metric, meaning = draw(error_rates(own) if name == "error rate" else single_metrics(name, own))
    number = meaning["Period"] if "Period" in meaning else meaning["Metrics"]["invocations"]["Period"]
    within = draw(st.integers(1, 20 if number < 3600 else 10))
    threshold = value = draw(st.integers(1, 90) | st.floats(0.5, 90))
    if name in LATENCIES:
        value = draw(st.integers(1, 10**7))
        threshold = draw(st.sampled_from([value, float(value), timedelta(microseconds=value)]))
    percentile = metric.get("Statistic") in PERCENTILES
    plain = _without_none(
        {
            "datapoints_to_alarm": draw(st.none() | st.integers(1, within)),
            "treat_missing_data": draw(
                st.none() | st.sampled_from(["breaching", "notBreaching", "ignore", "missing"])
            ),
            "evaluate_low_sample_count_percentile": draw(st.none() | st.sampled_from(["evaluate", "ignore"]))
            if percentile and not {"Label", "AccountId"} & set(metric)
            else None,
            "alarm_description": draw(st.none() | shown_texts),
        }
    )
    comparison = draw(
        st.none()
        | st.sampled_from(
            [
                "GreaterThanOrEqualToThreshold",
                "GreaterThanThreshold",
                "LessThanThreshold",
                "LessThanOrEqualToThreshold",
            ]
        )
    )
    enabled = draw(st.none() | st.booleans())
    notified = {
        member: draw(st.none() | actions)
        for member in ("alarm_actions", "ok_actions", "insufficient_data_actions")
    }
    return Ask(
        _without_none(
            {
                "metric": metric,
                "threshold": threshold,
                "evaluation_periods": within,
                "comparison_operator": comparison,
                "actions_enabled": enabled,
                "tags": draw(st.none() | tags),
                **notified,
                **plain,
            }
        ),
        {
            "metric": meaning,
            "threshold": float(value),
            "evaluation_periods": within,
            "comparison_operator": comparison or "GreaterThanOrEqualToThreshold",
            "actions_enabled": True if enabled is None else enabled,
            **{member: value or [] for member, value in notified.items()},
            **plain,
        },
    )
