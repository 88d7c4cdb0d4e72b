"""Answers of AWS, with a mistake in each line that is marked: every type checker finds it, and nothing else."""

from __future__ import annotations

from airflow_sm_hosting.hooks import ApplicationAutoScalingHook, CloudWatchHook, SageMakerHostingHook


def read(hook: SageMakerHostingHook, alarms: CloudWatchHook, scaling: ApplicationAutoScalingHook) -> None:
    print(hook.describe_endpoint("churn")["EndpointStatus"])  # wrong
    endpoint = hook.describe_endpoint("churn")
    assert endpoint
    print(endpoint["EndpointConfig"])  # wrong
    print(endpoint["EndpointStatus"] == "InService", endpoint["EndpointStatus"].uper())  # wrong
    print(endpoint["CreationTime"] + 5)  # wrong
    print(endpoint["ProductionVariants"]["main"])  # wrong
    model = hook.describe_model("churn")
    assert model
    print(model["PrimaryContainer"]["ModelUrl"])  # wrong
    config = hook.describe_endpoint_config("churn")
    assert config
    print(config["ProductionVariants"][0]["InitialInstanceCount"].upper())  # wrong
    print(hook.find_production_variant("churn", "main")["Variant"])  # wrong
    alarm = alarms.describe_metric_alarm("slow")
    print(alarm["Threshold"])  # wrong
    print([one["Name"] for one in alarms.alarms_on_endpoint("churn")])  # wrong
    target = scaling.scalable_targets(["endpoint/churn/variant/main"])[0]
    print(target["MinCapacity"] + "1")  # wrong
    print(scaling.scaling_policies("endpoint/churn/variant/main")[0]["PolicyArn"])  # wrong
    hook.conn.add_tags(ResourceArn=endpoint["EndpointArn"], Tags={"team": "growth"})  # wrong
    hook.conn.describe_endpoints(EndpointName="churn")  # wrong
