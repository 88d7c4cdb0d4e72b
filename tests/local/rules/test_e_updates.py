"""Updates, weights and capacities"""

from __future__ import annotations

from tests.local.rules.cloud import Cloud, canary, linear, refused


def test_new_config_exists(cloud: Cloud) -> None:
    """UpdateEndpoint with an endpoint config that does not exist is rejected.

    Source: sagemaker:API_UpdateEndpoint.html
    """
    name = cloud.endpoint()
    with refused("Could not find endpoint configuration"):
        cloud.update(name, "absent")


def test_updated_endpoint_exists(cloud: Cloud) -> None:
    """UpdateEndpoint of an endpoint that does not exist is rejected.

    Source: aws/amazon-sagemaker-operator-for-k8s
    """
    config = cloud.config()
    with refused("Could not find endpoint "):
        cloud.update("absent", config)


def test_old_config_is_read_again(cloud: Cloud) -> None:
    """UpdateEndpoint is rejected when the config in service was deleted.

    Source: hashicorp/terraform-provider-aws#40048
    """
    old, new = cloud.config(), cloud.config()
    name = cloud.endpoint(old)
    cloud.sagemaker.delete_endpoint_config(EndpointConfigName=old)
    with refused("Could not find endpoint configuration", old):
        cloud.update(name, new)


def test_update_swaps_the_config(cloud: Cloud) -> None:
    """After a successful update, the new endpoint config is in service.

    Source: sagemaker:API_UpdateEndpoint.html
    """
    name, new = cloud.endpoint(), cloud.config(cloud.variant(count=3))
    cloud.update(name, new)
    cloud.advance(60)
    found = cloud.describe(name)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", new)
    assert cloud.live(name)["CurrentInstanceCount"] == 3


def test_old_config_is_told_meanwhile(cloud: Cloud) -> None:
    """While an endpoint is Updating, the old config is in service.

    Source: aws-controllers-k8s/sagemaker-controller#7
    """
    old, new = cloud.config(cloud.variant(count=2)), cloud.config(cloud.variant(count=2))
    name = cloud.endpoint(old)
    cloud.update(name, new, canary(wait=600))
    cloud.advance(60)
    found = cloud.describe(name)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("Updating", old)


def test_pending_deployment_is_told_meanwhile(cloud: Cloud) -> None:
    """PendingDeploymentSummary contains the new config and its variants' stage, only while it is deployed.

    Source: sagemaker:API_PendingDeploymentSummary.html
    """
    old, new = cloud.config(cloud.variant(count=2)), cloud.config(cloud.variant(count=2))
    name = cloud.endpoint(old)
    assert "PendingDeploymentSummary" not in cloud.describe(name)
    cloud.update(name, new, canary(wait=600))
    cloud.advance(60)
    pending = cloud.describe(name)["PendingDeploymentSummary"]
    (variant,) = pending["ProductionVariants"]
    assert (pending["EndpointConfigName"], variant["VariantStatus"][0]["Status"]) == (new, "Baking")
    assert pending["StartTime"] <= variant["VariantStatus"][0]["StartTime"]
    cloud.advance(1200)
    assert "PendingDeploymentSummary" not in cloud.describe(name)


def test_silent_rollback(cloud: Cloud) -> None:
    """A failed update ends InService on the old config.

    Source: recorded:verdict-silent-rollback; hashicorp/terraform-provider-aws#39099, hashicorp/terraform-provider-aws#46663
    """
    old, new = cloud.config(), cloud.config()
    name = cloud.endpoint(old)
    with cloud.aws.fault("crash", endpoint=name, when="start"):
        cloud.update(name, new)
        cloud.advance(60)
    found = cloud.describe(name)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", old)


def test_rollback_has_a_reason(cloud: Cloud) -> None:
    """After a rollback, FailureReason contains the reason.

    Source: recorded:verdict-rollback; sagemaker:API_DescribeEndpoint.html; ACK's controller tests
    """
    name = cloud.endpoint()
    with cloud.aws.fault("capacity"):
        cloud.update(name, cloud.config())
        cloud.advance(60)
    assert "InsufficientInstanceCapacity" in cloud.describe(name)["FailureReason"]


def test_reason_goes_with_the_next_update(cloud: Cloud) -> None:
    """A successful update clears FailureReason.

    Source: recorded:update-clears-reason
    """
    name, new = cloud.endpoint(), cloud.config()
    with cloud.aws.fault("capacity"):
        cloud.update(name, new)
        cloud.advance(60)
    cloud.update(name, new)
    cloud.advance(60)
    found = cloud.describe(name)
    assert found["EndpointConfigName"] == new
    assert "FailureReason" not in found


def test_waiter_does_not_see_a_rollback(cloud: Cloud) -> None:
    """boto3's waiter endpoint_in_service treats a rollback as a success.

    Source: botocore, waiters of sagemaker; hashicorp/terraform-provider-aws#48997
    """
    old = cloud.config()
    name = cloud.endpoint(old)
    with cloud.aws.fault("capacity"):
        cloud.update(name, cloud.config())
        cloud.advance(60)
    cloud.sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 1}
    )
    assert cloud.describe(name)["EndpointConfigName"] == old


def test_same_config_again(cloud: Cloud) -> None:
    """UpdateEndpoint accepts the config that is in service.

    Source: sagemaker:API_UpdateEndpoint.html: RetainAllVariantProperties speaks of it; assumed
    """
    config = cloud.config()
    name = cloud.endpoint(config)
    cloud.update(name, config)
    cloud.advance(60)
    assert cloud.status(name) == "InService"


def test_update_resets_counts_and_weights(cloud: Cloud) -> None:
    """Without RetainAllVariantProperties, an update uses the new config's counts and weights.

    Source: sagemaker:API_UpdateEndpoint.html
    """
    name = cloud.endpoint(cloud.config(cloud.variant(count=1)))
    cloud.want(name, DesiredInstanceCount=4, DesiredWeight=7.0)
    cloud.advance(60)
    cloud.update(name, cloud.config(cloud.variant(count=2, InitialVariantWeight=3.0)))
    cloud.advance(60)
    live = cloud.live(name)
    assert (live["CurrentInstanceCount"], live["CurrentWeight"]) == (2, 3.0)


def test_update_retains_counts_and_weights(cloud: Cloud) -> None:
    """With RetainAllVariantProperties, an update keeps the current counts and weights.

    Source: sagemaker:API_UpdateEndpoint.html
    """
    name = cloud.endpoint(cloud.config(cloud.variant(count=1)))
    cloud.want(name, DesiredInstanceCount=4, DesiredWeight=7.0)
    cloud.advance(60)
    cloud.update(name, cloud.config(cloud.variant(count=2)), RetainAllVariantProperties=True)
    cloud.advance(60)
    live = cloud.live(name)
    assert (live["CurrentInstanceCount"], live["CurrentWeight"]) == (4, 7.0)


def test_update_retains_all_but(cloud: Cloud) -> None:
    """ExcludeRetainedVariantProperties lists the properties that are not retained.

    Source: sagemaker:API_UpdateEndpoint.html
    """
    name = cloud.endpoint(cloud.config(cloud.variant(count=1)))
    cloud.want(name, DesiredInstanceCount=4, DesiredWeight=7.0)
    cloud.advance(60)
    cloud.update(
        name,
        cloud.config(cloud.variant(count=2)),
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredInstanceCount"}],
    )
    cloud.advance(60)
    live = cloud.live(name)
    assert (live["CurrentInstanceCount"], live["CurrentWeight"]) == (2, 7.0)


def test_update_retains_by_name(cloud: Cloud) -> None:
    """A new variant has the new config's values.

    Source: sagemaker:API_UpdateEndpoint.html
    """
    name = cloud.endpoint(cloud.config(cloud.variant("a", 1)))
    cloud.want(name, "a", DesiredInstanceCount=4)
    cloud.advance(60)
    new = cloud.config(cloud.variant("a", 2), cloud.variant("b", 3))
    cloud.update(name, new, RetainAllVariantProperties=True)
    cloud.advance(60)
    assert [cloud.live(name, variant)["CurrentInstanceCount"] for variant in "ab"] == [4, 3]


def test_not_to_serverless(cloud: Cloud) -> None:
    """An endpoint with instances cannot be updated to a serverless one.

    Source: guide:serverless-endpoints-update.html
    """
    name = cloud.endpoint()
    with refused("serverless"):
        cloud.update(name, cloud.config(cloud.serverless()))


def test_from_serverless(cloud: Cloud) -> None:
    """A serverless endpoint can be updated to one with instances.

    Source: guide:serverless-endpoints-update.html
    """
    name = cloud.endpoint(cloud.config(cloud.serverless()))
    cloud.update(name, cloud.config())
    cloud.advance(60)
    assert cloud.live(name)["CurrentInstanceCount"] == 1


def test_deleted_model_bites(cloud: Cloud) -> None:
    """UpdateEndpoint to a config whose model was deleted is rejected.

    Source: hashicorp/terraform-provider-aws#40048; ministryofjustice/analytical-platform#9863
    """
    name, model = cloud.endpoint(), cloud.model()
    config = cloud.config(cloud.variant(ModelName=model))
    cloud.sagemaker.delete_model(ModelName=model)
    with refused("Could not find model"):
        cloud.update(name, config)


def test_new_variants(cloud: Cloud) -> None:
    """An all-at-once update may change the variants.

    Source: guide:deployment-guardrails-exclusions.html: only canary, linear and rolling need the same names
    """
    name = cloud.endpoint(cloud.config(cloud.variant("a")))
    cloud.update(name, cloud.config(cloud.variant("b"), cloud.variant("c")))
    cloud.advance(60)
    assert [v["VariantName"] for v in cloud.describe(name)["ProductionVariants"]] == ["b", "c"]


def test_deployment_config_of_an_update_is_told(cloud: Cloud) -> None:
    """DescribeEndpoint returns LastDeploymentConfig.

    Source: sagemaker:API_DescribeEndpoint.html
    """
    name = cloud.endpoint(cloud.config(cloud.variant(count=2)))
    cloud.update(name, cloud.config(cloud.variant(count=2)), canary(wait=60))
    cloud.advance(600)
    assert cloud.describe(name)["LastDeploymentConfig"] == canary(wait=60)


def test_deployment_config_of_a_create_is_stored(cloud: Cloud) -> None:
    """CreateEndpoint stores its DeploymentConfig without applying it.

    Source: sagemaker:API_CreateEndpoint.html
    """
    name = cloud.endpoint(cloud.config(cloud.variant(count=2)), DeploymentConfig=linear())
    assert cloud.describe(name)["LastDeploymentConfig"] == linear()


def test_deployment_config_is_reused(cloud: Cloud) -> None:
    """With RetainDeploymentConfig, the last deployment config is used again.

    Source: sagemaker:API_UpdateEndpoint.html
    """
    name = cloud.endpoint(cloud.config(cloud.variant(count=2)), DeploymentConfig=canary(wait=600))
    cloud.update(name, cloud.config(cloud.variant(count=2)), RetainDeploymentConfig=True)
    cloud.advance(60)
    assert cloud.status(name) == "Updating"
    cloud.advance(600)
    assert cloud.status(name) == "InService"


def test_deployment_config_is_not_reused_by_itself(cloud: Cloud) -> None:
    """Without RetainDeploymentConfig, the last deployment config is not used.

    Source: sagemaker:API_UpdateEndpoint.html
    """
    name = cloud.endpoint(cloud.config(cloud.variant(count=2)), DeploymentConfig=canary(wait=600))
    new = cloud.config(cloud.variant(count=2))
    cloud.update(name, new)
    cloud.advance(60)
    assert cloud.describe(name)["EndpointConfigName"] == new


def test_weights(cloud: Cloud) -> None:
    """UpdateEndpointWeightsAndCapacities sets a weight and leaves the instances unchanged.

    Source: sagemaker:API_UpdateEndpointWeightsAndCapacities.html
    """
    name = cloud.endpoint(cloud.config(cloud.variant(count=3)))
    cloud.want(name, DesiredWeight=5.0)
    cloud.advance(60)
    live = cloud.live(name)
    assert (live["CurrentWeight"], live["DesiredWeight"], live["CurrentInstanceCount"]) == (5.0, 5.0, 3)
    assert live["DesiredInstanceCount"] == 3


def test_capacities(cloud: Cloud) -> None:
    """UpdateEndpointWeightsAndCapacities sets an instance count and leaves the weights unchanged.

    Source: sagemaker:API_UpdateEndpointWeightsAndCapacities.html
    """
    name = cloud.endpoint(cloud.config(cloud.variant(count=3, InitialVariantWeight=2.0)))
    cloud.want(name, DesiredInstanceCount=1)
    cloud.advance(60)
    live = cloud.live(name)
    assert (live["CurrentWeight"], live["CurrentInstanceCount"]) == (2.0, 1)


def test_weights_take_a_while(cloud: Cloud) -> None:
    """An endpoint is Updating until new weights take effect.

    Source: sagemaker:API_UpdateEndpointWeightsAndCapacities.html
    """
    name = cloud.endpoint()
    cloud.want(name, DesiredInstanceCount=2)
    live = cloud.live(name)
    assert (cloud.status(name), live["CurrentInstanceCount"], live["DesiredInstanceCount"]) == (
        "Updating",
        1,
        2,
    )
    cloud.advance(60)
    assert (cloud.status(name), cloud.live(name)["CurrentInstanceCount"]) == ("InService", 2)


def test_failed_capacity_goes_back(cloud: Cloud) -> None:
    """If instances are not available, the endpoint stays unchanged and InService.

    Source: sagemaker:API_DescribeEndpoint.html: RollingBack
    """
    name = cloud.endpoint()
    with cloud.aws.fault("capacity"):
        cloud.want(name, DesiredInstanceCount=2)
        cloud.advance(60)
    live = cloud.live(name)
    assert (cloud.status(name), live["CurrentInstanceCount"], live["DesiredInstanceCount"]) == (
        "InService",
        1,
        1,
    )


def test_weights_of_an_absent_variant(cloud: Cloud) -> None:
    """A variant that the endpoint does not have is rejected.

    Source: sagemaker:API_UpdateEndpointWeightsAndCapacities.html; the wording is assumed
    """
    name = cloud.endpoint()
    with refused("absent"):
        cloud.want(name, "absent", DesiredWeight=1.0)


def test_weights_twice(cloud: Cloud) -> None:
    """A request for weights names each variant only once.

    Source: assumed
    """
    name = cloud.endpoint()
    change = {"VariantName": "main", "DesiredWeight": 1.0}
    with refused():
        cloud.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=[change, change]
        )


def test_no_weights_at_all(cloud: Cloud) -> None:
    """A request for weights names at least one variant.

    Source: botocore, DesiredWeightAndCapacityList
    """
    name = cloud.endpoint()
    with refused("desiredWeightsAndCapacities"):
        cloud.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=[]
        )


def test_no_instances_of_a_real_time_variant(cloud: Cloud) -> None:
    """A real-time variant keeps at least one instance.

    Source: guide:async-inference-autoscale.html: only asynchronous endpoints have none; the wording is assumed
    """
    name = cloud.endpoint()
    with refused("DesiredInstanceCount"):
        cloud.want(name, DesiredInstanceCount=0)


def test_no_instances_of_an_asynchronous_variant(cloud: Cloud) -> None:
    """An asynchronous variant may have zero instances.

    Source: guide:async-inference-autoscale.html
    """
    config = cloud.config(AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://bucket/out/"}})
    name = cloud.endpoint(config)
    cloud.want(name, DesiredInstanceCount=0)
    cloud.advance(60)
    assert cloud.live(name)["CurrentInstanceCount"] == 0


def test_no_instance_count_of_a_serverless_variant(cloud: Cloud) -> None:
    """A serverless variant has no DesiredInstanceCount.

    Source: sagemaker:API_DesiredWeightAndCapacity.html; the wording is assumed
    """
    name = cloud.endpoint(cloud.config(cloud.serverless()))
    with refused("DesiredInstanceCount"):
        cloud.want(name, DesiredInstanceCount=2)


def test_concurrency_of_a_serverless_variant(cloud: Cloud) -> None:
    """A serverless variant's concurrency is changed by ServerlessUpdateConfig.

    Source: sagemaker:API_DesiredWeightAndCapacity.html
    """
    name = cloud.endpoint(cloud.config(cloud.serverless(MaxConcurrency=5)))
    cloud.want(name, ServerlessUpdateConfig={"MaxConcurrency": 9})
    cloud.advance(60)
    assert cloud.live(name)["CurrentServerlessConfig"]["MaxConcurrency"] == 9
