"""Events of SageMaker in EventBridge, from a rule to the queue of who waits for them."""

from __future__ import annotations

import json
from typing import Any

from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import FOREIGN_IMAGE, ROLE, Deployer

ARN = "arn:aws:sagemaker:us-east-1:123456789012"


class Waiting:
    """A queue, and a rule that sends events to it."""

    def __init__(self, aws: LocalAws, kind: str, **detail: Any) -> None:
        self._sqs = aws.client("sqs")
        self._url = self._sqs.create_queue(QueueName="approved")["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        pattern: dict[str, Any] = {"source": ["aws.sagemaker"], "detail-type": [kind]}
        if detail:
            pattern["detail"] = detail
        events = aws.client("events")
        events.put_rule(Name="r", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": attributes["Attributes"]["QueueArn"]}])

    def received(self) -> list[dict[str, Any]]:
        """Return the events that have come since then, and forget them."""
        found: list[dict[str, Any]] = []
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return found


def register(aws: LocalAws, **more: Any) -> str:
    containers = {"Containers": [{"Image": FOREIGN_IMAGE}]}
    made = aws.client("sagemaker").create_model_package(
        ModelPackageGroupName="churn", InferenceSpecification=containers, **more
    )
    return str(made["ModelPackageArn"])


def test_an_approval_is_received(virtual_aws: LocalAws) -> None:
    aws, sagemaker = virtual_aws, virtual_aws.client("sagemaker")
    approvals = Waiting(
        aws,
        "SageMaker Model Package State Change",
        ModelPackageGroupName=["churn"],
        ModelApprovalStatus=["Approved"],
        UpdatedModelPackageFields=["ModelApprovalStatus"],
    )
    for group in ("churn", "other"):
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
    register(aws)
    arn = register(aws, MetadataProperties={"CommitId": "abc"})
    assert approvals.received() == []
    now = aws.now()
    sagemaker.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="by the board"
    )
    (event,) = approvals.received()
    assert event["resources"] == [arn]
    assert event["time"] == now.strftime("%Y-%m-%dT%H:%M:%SZ")
    created = event["detail"].pop("CreationTime")
    assert event["detail"] == {
        "ModelPackageGroupName": "churn",
        "ModelPackageVersion": 2,
        "ModelPackageArn": arn,
        "LastModifiedTime": created,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "CertifyForMarketplace": False,
        "InferenceSpecification": {"Containers": [{"Image": FOREIGN_IMAGE}]},
        "ModelApprovalStatus": "Approved",
        "ApprovalDescription": "by the board",
        "MetadataProperties": {"CommitId": "abc"},
        "UpdatedModelPackageFields": ["ModelApprovalStatus", "ApprovalDescription"],
    }
    # An edit of what is approved is no approval, though it is an event with "Approved".
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"deployed": "yes"})
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    assert approvals.received() == []


def test_each_creation_and_each_update_of_a_package_is_an_event(virtual_aws: LocalAws) -> None:
    sagemaker = virtual_aws.client("sagemaker")
    events = Waiting(virtual_aws, "SageMaker Model Package State Change")
    sagemaker.create_model_package_group(ModelPackageGroupName="churn")
    arn = register(virtual_aws, ModelApprovalStatus="Approved")
    cycle = {"Stage": "Staging", "StageStatus": "Pending"}
    sagemaker.update_model_package(ModelPackageArn=arn, ModelLifeCycle=cycle)
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"a": "b"})
    told = [event["detail"] for event in events.received()]
    assert [one.get("UpdatedModelPackageFields") for one in told] == [
        None,
        ["ModelLifeCycle"],
        ["CustomerMetadataProperties"],
    ]
    assert {one["ModelApprovalStatus"] for one in told} == {"Approved"}
    assert told[1]["ModelLifeCycle"] == cycle


def test_an_endpoint_that_is_deployed_is_received(virtual_aws: LocalAws) -> None:
    deployer = Deployer(virtual_aws)
    events = Waiting(virtual_aws, "SageMaker Endpoint State Change", EndpointStatus=["IN_SERVICE"])
    name = deployer.endpoint(wait=False)
    virtual_aws.advance(60)
    (event,) = events.received()
    assert (event["resources"], event["detail"]["EndpointName"]) == ([f"{ARN}:endpoint/{name}"], name)


def test_each_stage_of_a_deployment_is_received(virtual_aws: LocalAws) -> None:
    deployer = Deployer(virtual_aws)
    events = Waiting(virtual_aws, "SageMaker Endpoint Deployment State Change")
    old, new = (deployer.config(deployer.variant(InitialInstanceCount=4)) for _ in range(2))
    name = deployer.endpoint(old, wait=False)
    virtual_aws.advance(60)
    # Its creation takes the place of nothing.
    assert events.received() == []
    started = virtual_aws.now()
    routing = {
        "Type": "CANARY",
        "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
        "WaitIntervalInSeconds": 600,
    }
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 300}
    deployer.sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=new, DeploymentConfig={"BlueGreenUpdatePolicy": policy}
    )
    virtual_aws.advance(1000)
    told = events.received()
    pending = [event["detail"]["PendingDeploymentSummary"] for event in told]
    stages = [one["ProductionVariants"][0]["VariantStatus"][0] for one in pending]
    assert [stage["Status"] for stage in stages] == [
        *("Creating", "ActivatingTraffic", "Baking", "ActivatingTraffic", "Baking"),
    ]
    detail = told[2]["detail"]
    assert detail["EndpointStatus"] == "UPDATING"
    assert detail["EndpointConfigName"] == old
    (live,) = detail["ProductionVariants"]
    assert live == {
        "VariantName": "main",
        "CurrentWeight": 1.0,
        "DesiredWeight": 1.0,
        "CurrentInstanceCount": 4,
        "DesiredInstanceCount": 4,
    }
    assert detail["PendingDeploymentSummary"] == {
        "EndpointConfigName": new,
        "StartTime": int(started.timestamp() * 1000),
        "ProductionVariants": [
            {
                "VariantName": "main",
                "CurrentWeight": 1.0,
                "DesiredWeight": 1.0,
                "CurrentInstanceCount": 1,
                "DesiredInstanceCount": 4,
                "VariantStatus": [stages[2]],
            }
        ],
    }
    assert stages[2]["StartTime"] >= int(started.timestamp() * 1000)
    assert "Baking for 600 seconds" in stages[2]["StatusMessage"]


def test_new_capacity_is_received(virtual_aws: LocalAws) -> None:
    deployer = Deployer(virtual_aws)
    events = Waiting(virtual_aws, "SageMaker Endpoint Deployment State Change")
    name = deployer.endpoint(wait=False)
    virtual_aws.advance(60)
    for change in ({"DesiredInstanceCount": 3}, {"DesiredWeight": 2.0}):
        deployer.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "main", **change}]
        )
        virtual_aws.advance(60)
    (event,) = events.received()
    (variant,) = event["detail"]["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (1, 3)
    assert variant["VariantStatus"][0]["Status"] == "Updating"
    assert "PendingDeploymentSummary" not in event["detail"]


def test_an_update_without_guardrails_has_no_event_of_its_deployment(virtual_aws: LocalAws) -> None:
    """The page names deployment-guardrails-exclusions.html."""
    deployer = Deployer(virtual_aws)
    events = Waiting(virtual_aws, "SageMaker Endpoint Deployment State Change")
    variant = {
        "VariantName": "main",
        "ModelName": deployer.model(),
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5},
    }
    name = deployer.endpoint(deployer.config(variant), wait=False)
    virtual_aws.advance(60)
    deployer.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=deployer.config(variant))
    virtual_aws.advance(60)
    assert deployer.describe(name)["EndpointStatus"] == "InService"
    assert events.received() == []


def test_what_the_event_of_an_approval_names_is_deployed(process_deployer: Deployer) -> None:
    """Register, approve, receive the event, deploy: only the event tells which version."""
    local, sagemaker = process_deployer, process_deployer.sagemaker
    group = local.name("group")
    approvals = Waiting(
        local.aws,
        "SageMaker Model Package State Change",
        ModelPackageGroupName=[group],
        ModelApprovalStatus=["Approved"],
        UpdatedModelPackageFields=["ModelApprovalStatus"],
    )
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    image = local.push_image()
    arns = [
        sagemaker.create_model_package(
            ModelPackageGroupName=group,
            InferenceSpecification={"Containers": [{"Image": image, "Environment": {"VERSION": version}}]},
        )["ModelPackageArn"]
        for version in "123"
    ]
    # The newest one is not the one that is approved.
    sagemaker.update_model_package(ModelPackageArn=arns[2], ModelApprovalStatus="Rejected")
    sagemaker.update_model_package(ModelPackageArn=arns[1], ModelApprovalStatus="Approved")
    (event,) = approvals.received()
    model = local.name("model")
    container = {"ModelPackageName": event["detail"]["ModelPackageArn"]}
    sagemaker.create_model(ModelName=model, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    endpoint = local.endpoint(local.config(local.variant(model)))
    assert local.invoke(endpoint)["version"] == "2"
