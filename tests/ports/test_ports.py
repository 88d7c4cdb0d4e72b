"""The ports of public deployments run through Airflow, and what then is in the local AWS is what the originals ask for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting import policies
from airflow_sm_hosting.local import LocalAws
from tests.dags.runs import Examples
from tests.local.conftest import Deployer, tar_bytes
from tests.ports.originals import ORIGINALS

pytestmark = [pytest.mark.airflow_db, pytest.mark.slow, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
ROLE = "SageMakerHostingRole"
#: The services whose calls a second run must not make again.
DEPLOYING = ("sagemaker", "application-autoscaling", "monitoring", "iam", "ecr")


class Ports(Examples):
    """Runs the ports against a local AWS that has what they take for granted.

    :param aws: The local AWS, and the account of experiments.
    :param production: The other account.
    :param home: A folder for Airflow.
    """

    def __init__(self, aws: LocalAws, production: LocalAws, home: Path) -> None:
        folder = home / "ports"
        folder.mkdir()
        for kind in ORIGINALS:
            (folder / f"{kind}.py").write_text((HERE / f"{kind}.py").read_text())
        super().__init__(
            aws,
            home,
            folder,
            AIRFLOW_CONN_AWS_EXPERIMENTS=json.dumps(aws.connection()),
            AIRFLOW_CONN_AWS_PRODUCTION=json.dumps(production.connection()),
            AIRFLOW_CONN_HUGGING_FACE=json.dumps({"conn_type": "generic", "password": "hf-secret"}),
        )
        self.production = production
        self.deployer = Deployer(aws)
        aws.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(policies.trust()))

    def succeeds(self, kind: str, **conf: Any) -> None:
        """Run a port; every task must succeed."""
        with self.aws.passing_time(), self.production.passing_time():
            states = self.run(kind, **conf)
        assert set(states.values()) == {"success"}, states

    def changes_nothing(self, kind: str, **conf: Any) -> None:
        """Run a port again: no call may change what is deployed."""
        servers = (self.aws, self.production)
        for server in servers:
            server.clear_requests()
        self.succeeds(kind, **conf)
        changed = [
            one["operation"]
            for server in servers
            for one in server.requests()
            if one["mutating"] and one["service"] in DEPLOYING
        ]
        assert changed == []

    def artifact(self, bucket: str, key: str, content: str = "1") -> str:
        self.bucket(bucket)
        body = tar_bytes({"weights": content.encode()})
        body = body if body[:2] == b"\x1f\x8b" else gzip.compress(body)
        self.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
        return f"s3://{bucket}/{key}"

    def bucket(self, name: str, region: str = "us-east-1", server: LocalAws | None = None) -> None:
        where = {} if region == "us-east-1" else {"LocationConstraint": region}
        s3 = client(server or self.aws, "s3", region)
        if name not in [one["Name"] for one in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if where else {}))

    def image(self, repository: str) -> str:
        ecr = self.aws.client("ecr")
        if repository not in [one["repositoryName"] for one in ecr.describe_repositories()["repositories"]]:
            ecr.create_repository(repositoryName=repository)
        return self.deployer.push_image(repository=repository)

    def approved(self, group: str, version: str) -> str:
        """Register a version of a group whose container tells the version, and approve it; return its ARN."""
        sagemaker = self.aws.client("sagemaker")
        groups = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
        if group not in [one["ModelPackageGroupName"] for one in groups]:
            sagemaker.create_model_package_group(ModelPackageGroupName=group)
        container = {
            "Image": self.image(group),
            "ModelDataUrl": self.artifact(f"{group}-data", f"models/{version}/model.tar.gz", version),
            "Environment": {"VERSION": version},
        }
        made = sagemaker.create_model_package(
            ModelPackageGroupName=group,
            ModelApprovalStatus="Approved",
            InferenceSpecification={
                "Containers": [container],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        )
        return str(made["ModelPackageArn"])


class Served:
    """What SageMaker says of an endpoint.

    :param aws: The local AWS.
    :param name: Name of the endpoint.
    """

    def __init__(self, aws: LocalAws, name: str, region: str = "us-east-1") -> None:
        sagemaker = client(aws, "sagemaker", region)
        self.endpoint = sagemaker.describe_endpoint(EndpointName=name)
        assert self.endpoint["EndpointStatus"] == "InService"
        self.config = sagemaker.describe_endpoint_config(
            EndpointConfigName=self.endpoint["EndpointConfigName"]
        )
        self.variants = {one["VariantName"]: one for one in self.config["ProductionVariants"]}
        self.models = {
            name: sagemaker.describe_model(ModelName=one["ModelName"])
            for name, one in self.variants.items()
            if "ModelName" in one
        }

    def has(self, expected: dict[str, Any], variant: str | None = None) -> None:
        """Hold that the config, or a variant of it, has these members."""
        found = self.config if variant is None else self.variants[variant]
        assert {name: found.get(name) for name in expected} == expected


class Scaling:
    """What Application Auto Scaling and CloudWatch say of a scalable target."""

    def __init__(self, aws: LocalAws, resource: str) -> None:
        scaling = aws.client("application-autoscaling")
        at = {"ServiceNamespace": "sagemaker"}
        [self.target] = scaling.describe_scalable_targets(**at, ResourceIds=[resource])["ScalableTargets"]
        policies = scaling.describe_scaling_policies(**at, ResourceId=resource)["ScalingPolicies"]
        self.tracking = [
            one["TargetTrackingScalingPolicyConfiguration"]
            for one in policies
            if one["PolicyType"] == "TargetTrackingScaling"
        ]
        self.steps = [one for one in policies if one["PolicyType"] == "StepScaling"]
        self.wakes = [
            alarm
            for alarm in aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
            if {one["PolicyARN"] for one in self.steps} & set(alarm["AlarmActions"])
        ]

    def limits(self) -> tuple[int, int]:
        return self.target["MinCapacity"], self.target["MaxCapacity"]


def client(aws: LocalAws, service: str, region: str = "us-east-1") -> Any:
    keys = {"aws_access_key_id": aws.access_key, "aws_secret_access_key": aws.secret_key}
    session = boto3.Session(region_name=region, **keys)
    return session.client(service, endpoint_url=aws.endpoint_url)  # type: ignore[call-overload]


def ask(aws: LocalAws, endpoint: str, body: Any = None, **more: Any) -> Any:
    answer = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint,
        Body=json.dumps(body or {"inputs": "Hello"}).encode(),
        ContentType="application/json",
        **more,
    )
    return json.loads(answer["Body"].read())


@contextmanager
def _server() -> Iterator[LocalAws]:
    with LocalAws(engine="process", transition_seconds=0, clock="virtual") as aws:
        yield aws


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    with _server() as aws, _server() as production:
        yield Ports(aws, production, tmp_path_factory.mktemp("ports"))


def test_llm_components(ports: Ports) -> None:
    ports.bucket("llm-weights")
    adapter = ports.dags / "earnings_adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    (adapter / "adapter_model.safetensors").write_bytes(b"1")
    ports.succeeds("llm_components")
    served = Served(ports.aws, "analyst")
    assert served.config["ExecutionRoleArn"].endswith(ROLE)
    served.has(
        {
            "ModelName": None,
            "InstanceType": "ml.g5.12xlarge",
            "InitialInstanceCount": 1,
            "ModelDataDownloadTimeoutInSeconds": 900,
            "ContainerStartupHealthCheckTimeoutInSeconds": 900,
            "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
        },
        "main",
    )
    sagemaker = ports.aws.client("sagemaker")

    def specification(name: str) -> Any:
        return sagemaker.describe_inference_component(InferenceComponentName=name)["Specification"]

    base = specification("analyst")
    assert base["StartupParameters"] == {
        "ModelDataDownloadTimeoutInSeconds": 900,
        "ContainerStartupHealthCheckTimeoutInSeconds": 900,
    }
    assert base["ComputeResourceRequirements"] == {
        "MinMemoryRequiredInMb": 32000,
        "NumberOfAcceleratorDevicesRequired": 4.0,
    }
    before = specification("analyst-earnings")
    assert before["BaseInferenceComponentName"] == "analyst"
    answers = [
        ask(ports.aws, "analyst", InferenceComponentName=name)["generated_text"]
        for name in ("analyst", "analyst-earnings")
    ]
    assert len(set(answers)) == 2
    ports.changes_nothing("llm_components")
    # The original's last step: another artifact updates the adapter in place.
    (adapter / "adapter_model.safetensors").write_bytes(b"2")
    ports.succeeds("llm_components")
    assert specification("analyst-earnings") != before


def test_from_zero(ports: Ports) -> None:
    ports.succeeds("from_zero")
    served = Served(ports.aws, "guide")
    served.has(
        {
            "InstanceType": "ml.g5.12xlarge",
            "ContainerStartupHealthCheckTimeoutInSeconds": 600,
            "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
            "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2},
        },
        "main",
    )
    scaling = Scaling(ports.aws, "inference-component/guide")
    assert scaling.limits() == (0, 2)
    [tracking], [step], [wakes] = scaling.tracking, scaling.steps, scaling.wakes
    assert tracking["TargetValue"] == 3
    assert tracking["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution"
    }
    steps = step["StepScalingPolicyConfiguration"]
    assert (steps["AdjustmentType"], steps["Cooldown"]) == ("ChangeInCapacity", 60)
    assert [one["ScalingAdjustment"] for one in steps["StepAdjustments"]] == [1]
    assert wakes["MetricName"] == "NoCapacityInvocationFailures"
    assert wakes["Dimensions"] == [{"Name": "InferenceComponentName", "Value": "guide"}]
    assert (wakes["Threshold"], wakes["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
    ports.changes_nothing("from_zero")
    ports.aws.advance(3 * 3600)
    with pytest.raises(ClientError, match="no capacity"):
        ask(ports.aws, "guide", InferenceComponentName="guide")
    ports.aws.advance(900)
    question = {"messages": [{"role": "user", "content": "Hello"}]}
    assert ask(ports.aws, "guide", question, InferenceComponentName="guide")["choices"]


def test_async_gpu(ports: Ports) -> None:
    ports.image("pictures")
    ports.artifact("pictures", "data/model.tar.gz")
    ports.succeeds("async_gpu")
    served = Served(ports.aws, "pictures")
    topics = "arn:aws:sns:us-east-1:123456789012:pictures"
    served.has(
        {
            "AsyncInferenceConfig": {
                "OutputConfig": {
                    "S3OutputPath": "s3://pictures/answers/",
                    "NotificationConfig": {
                        "SuccessTopic": f"{topics}-done",
                        "ErrorTopic": f"{topics}-failed",
                    },
                },
                "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 1},
            }
        }
    )
    served.has({"InstanceType": "ml.g5.2xlarge", "InitialInstanceCount": 1}, "prod")
    scaling = Scaling(ports.aws, "endpoint/pictures/variant/prod")
    assert scaling.limits() == (0, 3)
    [tracking], [step], [wakes] = scaling.tracking, scaling.steps, scaling.wakes
    metric = tracking["CustomizedMetricSpecification"]
    assert (metric["MetricName"], metric["Statistic"]) == ("ApproximateBacklogSizePerInstance", "Average")
    assert metric["Dimensions"] == [{"Name": "EndpointName", "Value": "pictures"}]
    assert (tracking["TargetValue"], tracking["ScaleInCooldown"], tracking["ScaleOutCooldown"]) == (
        3,
        180,
        60,
    )
    assert step["StepScalingPolicyConfiguration"]["AdjustmentType"] == "ChangeInCapacity"
    assert wakes["MetricName"] == "HasBacklogWithoutCapacity"
    assert wakes["TreatMissingData"] == "missing"
    ports.changes_nothing("async_gpu")


def test_serverless(ports: Ports) -> None:
    ports.succeeds("serverless")
    served = Served(ports.aws, "reviews")
    served.has({"ServerlessConfig": {"MaxConcurrency": 8, "MemorySizeInMB": 6144}}, "reviews")
    environment = served.models["reviews"]["PrimaryContainer"]["Environment"]
    assert environment["HF_TASK"] == "text-classification"
    assert environment["MMS_DEFAULT_WORKERS_PER_MODEL"] == "1"
    assert ask(ports.aws, "reviews")
    ports.changes_nothing("serverless")


def test_registry_to_canary(ports: Ports) -> None:
    ports.approved("abalone", "1")
    ports.succeeds("registry_to_canary")
    newer = ports.approved("abalone", "2")
    ports.succeeds("registry_to_canary")
    for stage, captured in (("staging", 100), ("production", 80)):
        served = Served(ports.aws, f"abalone-{stage}")
        assert served.models["main"]["PrimaryContainer"]["ModelPackageName"] == newer
        served.has({"InitialInstanceCount": 3, "InstanceType": "ml.m5.large"}, "main")
        capture = served.config["DataCaptureConfig"]
        assert capture["InitialSamplingPercentage"] == captured
        assert capture["CaptureOptions"] == [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]
        assert capture["CaptureContentTypeHeader"] == {"CsvContentTypes": ["text/csv"]}
    assert Served(ports.aws, "abalone-production").endpoint["LastDeploymentConfig"] == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
                "WaitIntervalInSeconds": 300,
            },
            "TerminationWaitInSeconds": 120,
            "MaximumExecutionTimeoutInSeconds": 1800,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "abalone-production-5xx"}]},
    }
    [alarm] = ports.aws.client("cloudwatch").describe_alarms(AlarmNames=["abalone-production-5xx"])[
        "MetricAlarms"
    ]
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == ("Invocation5XXErrors", "Sum", 60)
    ports.changes_nothing("registry_to_canary")


def test_shadow(ports: Ports) -> None:
    older, newer = (ports.approved("risk", version) for version in ("1", "2"))
    ports.succeeds("shadow", serving="1")
    sagemaker = ports.aws.client("sagemaker")
    served = Served(ports.aws, "risk")
    assert served.models["production"]["PrimaryContainer"]["ModelPackageName"] == newer
    assert not served.config.get("ShadowProductionVariants")
    configs = sagemaker.list_endpoint_configs(
        SortBy="CreationTime", SortOrder="Ascending", NameContains="risk"
    )["EndpointConfigs"]
    tested = sagemaker.describe_endpoint_config(EndpointConfigName=configs[0]["EndpointConfigName"])

    def package(variant: Any) -> str:
        model = sagemaker.describe_model(ModelName=variant["ModelName"])
        return str(model["PrimaryContainer"]["ModelPackageName"])

    assert [package(one) for one in tested["ProductionVariants"]] == [older]
    assert [package(one) for one in tested["ShadowProductionVariants"]] == [newer]
    assert tested["DataCaptureConfig"]["InitialSamplingPercentage"] == 100


def test_multi_model(ports: Ports) -> None:
    for key in ("models/north.tar.gz", "models/south.tar.gz", "source/sourcedir.tar.gz"):
        ports.artifact("forecasts", key, key)
    ports.succeeds("multi_model")
    served = Served(ports.aws, "forecasts")
    served.has({"InstanceType": "ml.c5.xlarge", "InitialInstanceCount": 2}, "main")
    container = served.models["main"]["PrimaryContainer"]
    assert (container["Mode"], container["ModelDataUrl"]) == ("MultiModel", "s3://forecasts/models/")
    assert container["MultiModelConfig"] == {"ModelCacheSetting": "Disabled"}
    assert len(container["Environment"]) == 4
    ports.changes_nothing("multi_model")


def test_instance_pools(ports: Ports) -> None:
    ports.succeeds("instance_pools")
    served = Served(ports.aws, "travel")
    types = ["ml.g6.24xlarge", "ml.g5.48xlarge", "ml.g5.12xlarge"]
    served.has(
        {
            "InstanceType": None,
            "InstancePools": [
                {"InstanceType": name, "Priority": number} for number, name in enumerate(types, start=1)
            ],
            "VariantInstanceProvisionTimeoutInSeconds": 3600,
            "ContainerStartupHealthCheckTimeoutInSeconds": 900,
            "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
        },
        "main",
    )
    scaling = Scaling(ports.aws, "endpoint/travel/variant/main")
    assert scaling.limits() == (1, 10)
    [tracking] = scaling.tracking
    assert (tracking["TargetValue"], tracking["ScaleInCooldown"], tracking["ScaleOutCooldown"]) == (
        0.7,
        300,
        60,
    )
    metrics = tracking["CustomizedMetricSpecification"]["Metrics"]
    stats = [one["MetricStat"] for one in metrics if "MetricStat" in one]
    assert [
        {each["Name"]: each["Value"] for each in one["Metric"]["Dimensions"]}["InstanceType"] for one in stats
    ] == types
    assert {(one["Metric"]["MetricName"], one["Stat"]) for one in stats} == {
        ("ConcurrentRequestsPerModel", "Average")
    }
    [expression] = [one["Expression"] for one in metrics if one.get("Expression")]
    assert expression == "(type0 / 12 + type1 / 16 + type2 / 7) / 3"
    ports.changes_nothing("instance_pools")


def test_vpc_and_kms(ports: Ports) -> None:
    package = ports.approved("claims", "1")
    ports.succeeds("vpc_and_kms")
    served = Served(ports.aws, "claims")
    model = served.models["main"]
    assert model["PrimaryContainer"]["ModelPackageName"] == package
    assert model["EnableNetworkIsolation"] is True
    assert model["VpcConfig"] == {
        "SecurityGroupIds": ["sg-0ccccccccccccccccc"],
        "Subnets": ["subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"],
    }
    capture = served.config["DataCaptureConfig"]
    assert served.config["KmsKeyId"] == capture["KmsKeyId"]
    assert capture["InitialSamplingPercentage"] == 50
    assert capture["CaptureContentTypeHeader"] == {
        "CsvContentTypes": ["text/csv"],
        "JsonContentTypes": ["application/json"],
    }
    policy = ports.aws.client("iam").get_role_policy(RoleName="claims-hosting", PolicyName="sm-hosting")
    actions = {
        action
        for statement in policy["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert {"ec2:CreateNetworkInterface", "kms:Decrypt", "s3:GetObject", "ecr:BatchGetImage"} <= actions
    ports.changes_nothing("vpc_and_kms")


def test_many_teams(ports: Ports) -> None:
    ports.image("serving")
    for team in ("search", "fraud", "quant"):
        ports.artifact("team-models", f"{team}/model.tar.gz", team)
    ports.succeeds("many_teams")
    for team, kind, count in (("search", "large", 1), ("fraud", "xlarge", 2), ("quant", "large", 1)):
        served = Served(ports.aws, f"ml-{team}")
        for name, model in served.models.items():
            assert model["PrimaryContainer"]["Environment"] == {"MODEL_NAME": team}
            served.has({"InstanceType": f"ml.m5.{kind}", "InitialInstanceCount": count}, name)
    weights = {
        name: one["InitialVariantWeight"] for name, one in Served(ports.aws, "ml-search").variants.items()
    }
    assert weights == {"stable": 90, "next": 10}
    ports.changes_nothing("many_teams")


def test_two_regions(ports: Ports) -> None:
    package = ports.approved("churn", "1")
    for region in ("us-east-1", "eu-west-1"):
        ports.bucket(f"churn-{region}", region)
    ports.succeeds("two_regions")
    home, other = (Served(ports.aws, "churn", region) for region in ("us-east-1", "eu-west-1"))
    assert home.models["main"]["PrimaryContainer"]["ModelPackageName"] == package
    container = other.models["main"]["PrimaryContainer"]
    assert "ModelPackageName" not in container
    assert container["ModelDataUrl"].startswith("s3://churn-eu-west-1/")
    [image] = client(ports.aws, "ecr", "eu-west-1").describe_images(repositoryName="churn")["imageDetails"]
    assert container["Image"].endswith(f"/churn@{image['imageDigest']}")
    for region, served in (("us-east-1", home), ("eu-west-1", other)):
        served.has({"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}, "main")
        assert served.config["DataCaptureConfig"]["DestinationS3Uri"] == f"s3://churn-{region}/captured"
    ports.changes_nothing("two_regions")


def test_multi_account(ports: Ports) -> None:
    """The local AWS has one account: the other one is a server of its own, which has only what the port brings there."""
    ports.approved("fraud", "1")
    ports.bucket("production-models", server=ports.production)
    ports.succeeds("multi_account")
    names = [one["EndpointName"] for one in ports.aws.client("sagemaker").list_endpoints()["Endpoints"]]
    assert "fraud" not in names
    served = Served(ports.production, "fraud")
    model = served.models["main"]
    assert model["ExecutionRoleArn"].endswith("/fraud-hosting")
    assert model["VpcConfig"] == {
        "SecurityGroupIds": ["sg-0bbbbbbbbbbbbbbbb"],
        "Subnets": ["subnet-0aaaaaaaaaaaaaaaa"],
    }
    container = model["PrimaryContainer"]
    assert container["ModelDataUrl"].startswith("s3://production-models/fraud/")
    assert container["Image"].startswith(ports.production.endpoint_url.removeprefix("http://"))
    assert ask(ports.production, "fraud")["model"] == {"weights": "1"}
    ports.changes_nothing("multi_account")
