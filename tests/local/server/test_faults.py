from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.client.control import LocalAwsError
from airflow_sm_hosting.local.clock import VirtualClock
from airflow_sm_hosting.local.server.faults import KINDS, Faults, Hit
from airflow_sm_hosting.local.wire.errors import AwsError
from tests.local.conftest import FOREIGN_IMAGE, ROLE, Deployer, wait_until

MODEL = {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": FOREIGN_IMAGE}}


@pytest.fixture
def clock() -> Any:
    return VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def faults(clock: Any) -> Any:
    return Faults(clock)


def codes(faults: Any, *requests: Any) -> Any:
    """Return the error code of each request, None for one that goes through."""
    hits = [faults.hit(*request) for request in requests]
    return [hit.error and hit.error.code for hit in hits]


CREATE = ("sagemaker", "CreateEndpoint", "e")
DESCRIBE = ("sagemaker", "DescribeEndpoint", "e")

# What is matched


def test_without_faults_nothing_is_hit(faults: Any) -> None:
    assert faults.hit(*CREATE) == Hit()


@pytest.mark.parametrize(
    ("names", "is_hit"),
    [
        ({}, True),
        ({"operation": "CreateEndpoint"}, True),
        ({"operation": "Create*"}, True),
        ({"operation": "CreateEndpointConfig"}, False),
        ({"operation": "createendpoint"}, False),
        ({"service": "sagemaker"}, True),
        ({"service": "s3"}, False),
        ({"resource": "e"}, True),
        ({"resource": "other"}, False),
        ({"operation": "Create*", "resource": "[a-f]"}, True),
        ({"operation": "Create*", "resource": "other"}, False),
    ],
)
def test_a_fault_is_about_what_it_names(faults: Any, names: dict[str, Any], is_hit: bool) -> None:
    faults.add({"kind": "throttle", **names})
    assert codes(faults, CREATE) == ["ThrottlingException" if is_hit else None]


def test_a_request_about_nothing_is_not_about_a_name(faults: Any) -> None:
    faults.add({"kind": "throttle", "resource": "e"})
    assert codes(faults, ("sagemaker", "ListEndpoints", None)) == [None]


def test_a_count_is_of_hits_and_not_of_requests(faults: Any) -> None:
    faults.add({"kind": "error", "operation": "CreateEndpoint", "code": "X", "count": 2})
    assert codes(faults, CREATE, DESCRIBE, CREATE, CREATE) == ["X", None, "X", None]
    (told,) = faults.described()
    assert (told["hits"], told["over"]) == (2, True)


def test_a_fault_lasts_for_its_seconds_of_the_clock(faults: Any, clock: Any) -> None:
    faults.add({"kind": "throttle", "seconds": 10})
    assert codes(faults, CREATE) == ["ThrottlingException"]
    clock.advance(9.999)
    assert codes(faults, CREATE) == ["ThrottlingException"]
    clock.advance(0.001)
    assert codes(faults, CREATE) == [None]


def test_a_rate_is_of_each_operation(faults: Any, clock: Any) -> None:
    faults.add({"kind": "throttle", "rate": 2})
    assert codes(faults, CREATE, CREATE, CREATE, DESCRIBE) == [None, None, "ThrottlingException", None]
    clock.advance(0.5)
    assert codes(faults, CREATE, CREATE) == [None, "ThrottlingException"]
    clock.advance(3600)
    # A quiet hour saves up no more than a second's worth.
    assert codes(faults, CREATE, CREATE, CREATE) == [None, None, "ThrottlingException"]


def test_a_rate_below_one_lets_one_through_now_and_then(faults: Any, clock: Any) -> None:
    faults.add({"kind": "throttle", "rate": 0.1})
    assert codes(faults, CREATE, CREATE) == [None, "ThrottlingException"]
    clock.advance(5)
    assert codes(faults, CREATE) == ["ThrottlingException"]
    clock.advance(5)
    assert codes(faults, CREATE) == [None]


def test_the_oldest_refusal_counts_and_the_next_is_kept(faults: Any) -> None:
    faults.add({"kind": "error", "code": "First", "count": 1})
    faults.add({"kind": "error", "code": "Second", "count": 1})
    assert codes(faults, CREATE, CREATE, CREATE) == ["First", "Second", None]


def test_delays_add_up_and_go_with_a_refusal(faults: Any) -> None:
    faults.add({"kind": "delay", "delay": 1.5})
    faults.add({"kind": "delay", "delay": 2})
    faults.add({"kind": "throttle"})
    hit = faults.hit(*CREATE)
    assert (hit.delay, hit.kinds) == (3.5, ("delay", "delay", "throttle"))


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [("sagemaker", "ThrottlingException", 400), ("s3", "SlowDown", 503), ("monitoring", "Throttling", 400)],
)
def test_each_service_has_its_word_for_throttling(faults: Any, service: str, code: str, status: int) -> None:
    faults.add({"kind": "throttle"})
    error = faults.hit(service, "X", None).error
    assert (error.code, error.status) == (code, status)


@pytest.mark.parametrize(
    ("members", "status"), [({}, 500), ({"code": "X"}, 400), ({"code": "X", "status": 503}, 503)]
)
def test_an_error_that_is_named_is_the_callers_unless_said_otherwise(
    faults: Any, members: dict[str, Any], status: int
) -> None:
    faults.add({"kind": "error", **members})
    assert faults.hit(*CREATE).error.status == status


def test_of_two_shortages_the_worse_counts(faults: Any) -> None:
    faults.add({"kind": "capacity", "instance_type": "ml.g5.*", "instances": 3})
    faults.add({"kind": "capacity", "instance_type": "ml.g5.xlarge", "instances": 1, "count": 1})
    assert [faults.most_instances(t) for t in ("ml.g5.xlarge", "ml.g5.2xlarge", "ml.m5.large")] == [
        1,
        3,
        None,
    ]
    faults.refused("ml.g5.xlarge")
    assert faults.most_instances("ml.g5.xlarge") == 3


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({}, "kind must be one of throttle, delay, error, drop, capacity, crash, not None."),
        ({"kind": []}, "kind must be one of"),
        (
            {"kind": "delay", "rate": 1},
            "A fault of the kind delay has no rate; allowed: count, seconds, service,",
        ),
        ({"kind": "throttle", "count": 0}, "count must be a whole number from 1 to 1e+09, not 0."),
        ({"kind": "throttle", "count": 1.5}, "count must be a whole number"),
        ({"kind": "throttle", "count": True}, "count must be a whole number"),
        ({"kind": "throttle", "seconds": "5"}, "seconds must be a number"),
        ({"kind": "throttle", "rate": float("nan")}, "rate must be a number"),
        ({"kind": "delay", "delay": -1}, "delay must be a number from 0 to 3600, not -1."),
        ({"kind": "error", "status": 200}, "status must be a whole number from 400 to 599, not 200."),
        (
            {"kind": "drop", "when": "now"},
            "when must be before or after for a fault of the kind drop, not 'now'.",
        ),
        ({"kind": "throttle", "operation": ""}, "operation must be a non-empty string"),
        ({"kind": "throttle", "operation": 5}, "operation must be a non-empty string, not 5."),
        ({"kind": "crash"}, "needs an endpoint"),
        (
            {"kind": "crash", "endpoint": "*", "count": 2},
            "A fault of the kind crash with when='now' cannot have count",
        ),
    ],
)
def test_what_is_no_fault_is_refused_and_leaves_nothing(
    faults: Any, request_: dict[str, Any], said: str
) -> None:
    with pytest.raises(AwsError) as caught:
        faults.add(request_)
    assert said in caught.value.message
    assert faults.described() == []


def test_all_kinds_can_be_told(faults: Any) -> None:
    for kind in KINDS:
        faults.add({"kind": kind, **({"endpoint": "e", "when": "start"} if kind == "crash" else {})})
    assert [told["kind"] for told in faults.described()] == list(KINDS)
    assert len({told["id"] for told in faults.described()}) == len(KINDS)


# What clients see


@pytest.fixture(scope="module")
def client(_virtual_server: LocalAws) -> Any:
    """Return clients that try so often."""

    @cache
    def client(service: Any, retries: int = 0) -> Any:
        return boto3.Session(
            aws_access_key_id=_virtual_server.access_key,
            aws_secret_access_key=_virtual_server.secret_key,
            region_name=_virtual_server.region_name,
        ).client(
            service,
            endpoint_url=_virtual_server.endpoint_url,
            config=Config(retries={"total_max_attempts": retries + 1}, proxies={}),
        )

    return client


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sagemaker", "list_endpoints", "ThrottlingException"),
        ("s3", "list_buckets", "SlowDown"),
        ("cloudwatch", "list_metrics", "Throttling"),
        ("sns", "list_topics", "Throttling"),
        ("ecr", "describe_repositories", "ThrottlingException"),
        ("application-autoscaling", "describe_scalable_targets", "ThrottlingException"),
        ("logs", "describe_log_groups", "ThrottlingException"),
    ],
)
def test_every_protocol_carries_a_fault(
    virtual_aws: LocalAws, client: Any, service: str, operation: str, code: str
) -> None:
    more = {"ServiceNamespace": "sagemaker"} if service == "application-autoscaling" else {}
    call = getattr(client(service), operation)
    with virtual_aws.fault("throttle") as fault:
        with pytest.raises(ClientError) as caught:
            call(**more)
        assert fault.hits == 1
    assert caught.value.response["Error"]["Code"] == code
    call(**more)


def test_the_cbor_protocol_carries_a_fault(virtual_aws: LocalAws, client: Any) -> None:
    # boto3 asks CloudWatch in JSON; other SDKs do not.
    import urllib3
    from botocore.parsers import RpcV2CBORParser

    virtual_aws.fault("throttle", count=1)
    credential = f"Credential={virtual_aws.access_key}/20260101/us-east-1/monitoring/aws4_request"
    answer = urllib3.request(
        "POST",
        f"{virtual_aws.endpoint_url}/service/GraniteServiceVersion20100801/operation/ListMetrics",
        headers={"Authorization": f"AWS4-HMAC-SHA256 {credential}", "smithy-protocol": "rpc-v2-cbor"},
    )
    shape = client("cloudwatch").meta.service_model.operation_model("ListMetrics").output_shape
    parsed = RpcV2CBORParser().parse(
        {"status_code": answer.status, "headers": dict(answer.headers), "body": answer.data}, shape
    )
    assert parsed["Error"] == {"Code": "Throttling", "Message": "Rate exceeded"}


def test_botocore_gets_over_two_throttlings_and_the_log_tells_of_them(
    virtual_aws: LocalAws, client: Any
) -> None:
    virtual_aws.fault("throttle", operation="CreateModel", count=2)
    virtual_aws.clear_requests()
    answer = client("sagemaker", retries=3).create_model(ModelName="m", **MODEL)
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
    assert virtual_aws.request_counts() == {"CreateModel": 3}
    assert virtual_aws.request_counts(mutating=False) == {}
    log = [(entry["error"], entry["faults"]) for entry in virtual_aws.requests()]
    assert log == [("ThrottlingException", ["throttle"])] * 2 + [(None, [])]


def test_what_is_refused_was_not_done(virtual_aws: LocalAws, client: Any) -> None:
    virtual_aws.fault(
        "error", operation="CreateModel", code="ResourceLimitExceeded", message="No more.", count=1
    )
    with pytest.raises(ClientError, match=r"ResourceLimitExceeded.*No more"):
        client("sagemaker").create_model(ModelName="m", **MODEL)
    assert client("sagemaker").list_models()["Models"] == []


@pytest.mark.parametrize(("when", "models"), [("before", []), ("after", ["m"])])
def test_a_connection_is_cut_before_or_after_the_service_acts(
    virtual_aws: LocalAws, client: Any, when: str, models: list[Any]
) -> None:
    virtual_aws.fault("drop", operation="CreateModel", when=when, count=1)
    virtual_aws.clear_requests()
    with pytest.raises(ConnectionClosedError):
        client("sagemaker").create_model(ModelName="m", **MODEL)
    assert [model["ModelName"] for model in client("sagemaker").list_models()["Models"]] == models
    cut = virtual_aws.requests()[0]
    assert (cut["operation"], cut["status"], cut["error"], cut["faults"]) == (
        *("CreateModel", 0, "ConnectionAborted"),
        ["drop"],
    )


def test_a_retry_after_a_lost_answer_finds_the_name_taken(virtual_aws: LocalAws, client: Any) -> None:
    # What makes idempotent creates necessary: AWS has no client token there.
    virtual_aws.fault("drop", operation="CreateModel", count=1)
    with pytest.raises(ClientError, match="Cannot create already existing model"):
        client("sagemaker", retries=2).create_model(ModelName="m", **MODEL)


def test_a_delay_is_of_real_time(virtual_aws: LocalAws, client: Any) -> None:
    sagemaker = client("sagemaker")
    virtual_aws.fault("delay", operation="ListModels", delay=0.3, count=1)
    began = time.perf_counter()
    sagemaker.list_models()
    assert time.perf_counter() - began >= 0.3
    began = time.perf_counter()
    sagemaker.list_models()
    assert time.perf_counter() - began < 0.3


def test_the_registry_is_hit_too(virtual_aws: LocalAws) -> None:
    deployer = Deployer(virtual_aws)
    repository = deployer.repository()
    with virtual_aws.fault("error", service="registry", operation="StartBlobUpload", status=503):
        answer = deployer.http.request(
            "POST",
            f"{virtual_aws.endpoint_url}/v2/{repository}/blobs/uploads/",
            headers=deployer.registry_login(),
        )
    assert answer.status == 503


def test_our_own_interface_is_never_hit(virtual_aws: LocalAws) -> None:
    virtual_aws.fault("throttle")
    assert len(virtual_aws.faults()) == 1
    virtual_aws.reset()
    assert virtual_aws.faults() == []


def test_what_is_wrong_with_a_fault_is_told(virtual_aws: LocalAws) -> None:
    with pytest.raises(LocalAwsError, match="kind must be one of"):
        virtual_aws.fault("explode")
    with pytest.raises(LocalAwsError, match="There is no fault 'x'"):
        virtual_aws.end_faults("x")
    with pytest.raises(LocalAwsError, match="No running container matches"):
        virtual_aws.fault("crash", endpoint="none-of-that-name")


# What endpoints run on


def test_a_new_endpoint_without_capacity_fails_and_the_next_does_not(virtual_aws: LocalAws) -> None:
    deployer = Deployer(virtual_aws)
    fault = virtual_aws.fault("capacity", instance_type="ml.m5.*", count=1)
    config = deployer.config()
    failed, fine = (deployer.endpoint(config, wait=False) for _ in range(2))
    virtual_aws.advance(1)
    assert deployer.describe(failed)["EndpointStatus"] == "Failed"
    assert "InsufficientInstanceCapacity" in deployer.describe(failed)["FailureReason"]
    assert deployer.describe(fine)["EndpointStatus"] == "InService"
    assert fault.hits == 1


def test_an_update_without_capacity_is_rolled_back(virtual_aws: LocalAws) -> None:
    deployer = Deployer(virtual_aws)
    old, new = (deployer.config(deployer.variant(InitialInstanceCount=2)) for _ in range(2))
    endpoint = deployer.endpoint(old, wait=False)
    virtual_aws.advance(1)
    virtual_aws.fault("capacity", instance_type="ml.m5.large", instances=1, seconds=60)
    deployer.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=new)
    virtual_aws.advance(5)
    found = deployer.describe(endpoint)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", old)
    assert "InsufficientInstanceCapacity" in found["FailureReason"]
    virtual_aws.advance(60)
    deployer.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=new)
    virtual_aws.advance(5)
    assert deployer.describe(endpoint)["EndpointConfigName"] == new


@pytest.mark.parametrize(("short_for", "status"), [(250, "InService"), (350, "Failed")])
def test_a_variant_waits_for_instances_as_long_as_it_is_told(
    virtual_aws: LocalAws, short_for: int, status: str
) -> None:
    deployer = Deployer(virtual_aws)
    config = deployer.config(deployer.variant(VariantInstanceProvisionTimeoutInSeconds=300))
    virtual_aws.fault("capacity", instance_type="ml.m5.*", seconds=short_for)
    endpoint = deployer.endpoint(config, wait=False)
    virtual_aws.advance(240)
    assert deployer.describe(endpoint)["EndpointStatus"] == "Creating"
    virtual_aws.advance(70)
    found = deployer.describe(endpoint)
    assert found["EndpointStatus"] == status
    assert ("InsufficientInstanceCapacity" in found.get("FailureReason", "")) is (status == "Failed")


def test_each_batch_of_a_rolling_update_waits_for_its_instances(virtual_aws: LocalAws) -> None:
    deployer = Deployer(virtual_aws)
    variant = deployer.variant(InitialInstanceCount=4, VariantInstanceProvisionTimeoutInSeconds=300)
    old, new = (deployer.config(variant) for _ in range(2))
    endpoint = deployer.endpoint(old, wait=False)
    virtual_aws.advance(1)
    rolling = {
        "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 2},
        "WaitIntervalInSeconds": 0,
    }
    virtual_aws.fault("capacity", instance_type="ml.m5.*", seconds=100)
    deployer.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=new, DeploymentConfig={"RollingUpdatePolicy": rolling}
    )
    virtual_aws.advance(90)
    assert deployer.describe(endpoint)["EndpointStatus"] == "Updating"
    virtual_aws.advance(60)
    found = deployer.describe(endpoint)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", new)


class Copies:
    """Inference components on an endpoint with one instance."""

    def __init__(self, aws: LocalAws, **variant: Any) -> None:
        self.deployer = Deployer(aws)
        self.sagemaker = self.deployer.sagemaker
        bare = {"VariantName": "main", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1, **variant}
        config = self.deployer.config(bare, ExecutionRoleArn=ROLE)
        self.endpoint = self.deployer.endpoint(config, wait=False)
        self.aws = aws
        aws.advance(1)
        self.specification = {
            "ModelName": self.deployer.model(),
            "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128},
        }

    def create(self, name: str, copies: int = 1) -> Any:
        self.sagemaker.create_inference_component(
            InferenceComponentName=name,
            EndpointName=self.endpoint,
            VariantName="main",
            Specification=self.specification,
            RuntimeConfig={"CopyCount": copies},
        )
        self.aws.advance(1)
        return self.told(name)

    def want(self, name: str, copies: int) -> Any:
        self.sagemaker.update_inference_component_runtime_config(
            InferenceComponentName=name, DesiredRuntimeConfig={"CopyCount": copies}
        )
        self.aws.advance(1)
        return self.told(name)

    def told(self, name: str) -> Any:
        found = self.sagemaker.describe_inference_component(InferenceComponentName=name)
        counts = found["RuntimeConfig"]
        return (
            found["InferenceComponentStatus"],
            "not enough hardware resources" in found.get("FailureReason", ""),
            (counts["DesiredCopyCount"], counts["CurrentCopyCount"]),
        )

    def instances(self) -> Any:
        (variant,) = self.deployer.describe(self.endpoint)["ProductionVariants"]
        return variant["CurrentInstanceCount"]


def test_an_inference_component_without_capacity_fails_and_the_next_does_not(virtual_aws: LocalAws) -> None:
    copies = Copies(virtual_aws)
    fault = virtual_aws.fault("capacity", instance_type="ml.g5.*", count=1)
    status, has_reason, (_, current) = copies.create("failed")
    assert (status, has_reason, current) == ("Failed", True, 0)
    assert copies.create("fine") == ("InService", False, (1, 1))
    assert fault.hits == 1
    copies.sagemaker.delete_inference_component(InferenceComponentName="failed")


def test_copies_that_cannot_be_had_are_not_there_and_the_others_go_on(virtual_aws: LocalAws) -> None:
    copies = Copies(virtual_aws)
    assert copies.create("one", 2) == ("InService", False, (2, 2))
    with virtual_aws.fault("capacity", instance_type="ml.g5.xlarge", instances=1):
        assert copies.want("one", 4) == ("InService", True, (2, 2))
        # One more can be had, and fewer always.
        assert copies.want("one", 3) == ("InService", False, (3, 3))
        assert copies.want("one", 1) == ("InService", False, (1, 1))
        assert copies.want("one", 5) == ("InService", True, (1, 1))
    # Another type is not short.
    with virtual_aws.fault("capacity", instance_type="ml.m5.*"):
        assert copies.want("one", 5) == ("InService", False, (5, 5))


def test_an_update_of_copies_without_capacity_is_rolled_back(virtual_aws: LocalAws) -> None:
    copies = Copies(virtual_aws)
    copies.create("one", 2)
    with virtual_aws.fault("capacity"):
        copies.sagemaker.update_inference_component(
            InferenceComponentName="one",
            Specification={**copies.specification, "ModelName": copies.deployer.model()},
        )
        virtual_aws.advance(5)
    assert copies.told("one") == ("InService", True, (2, 2))
    found = copies.sagemaker.describe_inference_component(InferenceComponentName="one")
    assert found["Specification"]["ModelName"] == copies.specification["ModelName"]


def test_scaled_copies_are_short_as_well(virtual_aws: LocalAws) -> None:
    copies = Copies(virtual_aws)
    copies.create("one")
    fault = virtual_aws.fault("capacity", instance_type="ml.g5.*", count=1)
    for expected in ((1, 1), (3, 3)):
        virtual_aws.client("application-autoscaling").register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId="inference-component/one",
            ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
            MinCapacity=3,
            MaxCapacity=4,
        )
        virtual_aws.advance(60)
        assert copies.told("one")[2] == expected
    assert fault.hits == 1


def test_no_instance_comes_for_copies_that_cannot_be_had(virtual_aws: LocalAws) -> None:
    """endpoint-auto-scaling-zero-instances.html: the variant has an instance again with the first copy."""
    managed = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2}
    copies = Copies(virtual_aws, ManagedInstanceScaling=managed)
    copies.create("one", 1)
    copies.want("one", 0)
    assert copies.instances() == 0
    with virtual_aws.fault("capacity"):
        copies.want("one", 1)
        copies.create("two")
        assert copies.instances() == 0
    assert copies.want("one", 1) == ("InService", False, (1, 1))
    assert copies.instances() == 1


def test_a_container_that_crashes_at_its_start_fails_the_endpoint(virtual_aws: LocalAws) -> None:
    deployer = Deployer(virtual_aws)
    virtual_aws.fault("crash", endpoint="endpoint-*", variant="main", when="start", count=1)
    config = deployer.config()
    failed, fine = (deployer.endpoint(config, wait=False) for _ in range(2))
    virtual_aws.advance(1)
    statuses = {name: deployer.describe(name) for name in (failed, fine)}
    assert sorted(found["EndpointStatus"] for found in statuses.values()) == ["Failed", "InService"]
    (reason,) = (found["FailureReason"] for found in statuses.values() if "FailureReason" in found)
    assert "did not pass the ping health check" in reason


def test_a_container_that_crashes_is_started_anew(process_deployer: Deployer) -> None:
    deployer = process_deployer
    model = deployer.model(Image=deployer.push_image())
    endpoint = deployer.endpoint(deployer.config(deployer.variant(model)))
    assert deployer.invoke(endpoint)["body"] == "1,2"
    deployer.aws.fault("crash", endpoint=endpoint, container="primary")
    with pytest.raises(deployer.runtime.exceptions.ModelError):
        deployer.invoke(endpoint)

    def answers_again() -> Any:
        try:
            return deployer.invoke(endpoint)["body"] == "1,2"
        except deployer.runtime.exceptions.ModelError:
            return False

    wait_until(answers_again)
    assert deployer.describe(endpoint)["EndpointStatus"] == "InService"
