"""The tables of ``docs/cdk-parity.md``: no member of the CDK's library is missing, and every name and test in them exists."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import airflow_sm_hosting

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "cdk-parity.md"
CODE = re.compile(r"`([^`]+)`")
#: A name of ours, with some of its parameters.
NAME = re.compile(r"(?P<path>[A-Za-z_][\w.]*)(\((?P<parameters>\w+(, \w+)*)\))?")

#: The public API of @aws-cdk/aws-sagemaker-alpha 2.275.0-alpha.0, and what else the library does by itself.
CDK = {
    "Model": "new fromModelName fromModelArn fromModelAttributes addContainer addToRolePolicy connections role grantPrincipal "
    "modelArn modelName",
    "ModelProps": "containers modelName role vpc vpcSubnets securityGroups allowAllOutbound networkIsolation",
    "ContainerDefinition": "image environment containerHostname modelData",
    "ContainerImage": "bind fromEcrRepository fromAsset fromDlc",
    "ContainerImage.fromEcrRepository": "repository tag",
    "ContainerImage.fromDlc": "repositoryName tag accountId",
    "DockerImageAssetOptions": "buildArgs buildContexts buildSecrets buildSsh target file networkMode platform outputs cacheFrom "
    "cacheTo cacheDisabled assetName exclude ignoreMode followSymlinks extraHash invalidation",
    "ModelData": "bind fromBucket fromAsset",
    "ModelData.fromBucket": "bucket objectKey",
    "ModelData.fromAsset": "path",
    "EndpointConfig": "new fromEndpointConfigName fromEndpointConfigArn addInstanceProductionVariant "
    "addServerlessProductionVariant endpointConfigArn endpointConfigName",
    "EndpointConfigProps": "endpointConfigName encryptionKey instanceProductionVariants serverlessProductionVariant",
    "InstanceProductionVariantProps": "model variantName initialInstanceCount initialVariantWeight instanceType acceleratorType "
    "containerStartupHealthCheckTimeout",
    "ServerlessProductionVariantProps": "model variantName maxConcurrency memorySizeInMB provisionedConcurrency "
    "initialVariantWeight",
    "Endpoint": "new fromEndpointName fromEndpointArn fromEndpointAttributes findInstanceProductionVariant "
    "instanceProductionVariants grantInvoke endpointArn endpointName",
    "EndpointProps": "endpointConfig endpointName",
    "IEndpointInstanceProductionVariant": "variantName metric metricInvocations metricInvocationsPerInstance metricModelLatency "
    "metricOverheadLatency metricInvocationResponseCode metricCpuUtilization metricMemoryUtilization metricDiskUtilization "
    "metricGpuUtilization metricGpuMemoryUtilization autoScaleInstanceCount",
    "InvocationHttpResponseCode": "INVOCATION_4XX_ERRORS INVOCATION_5XX_ERRORS",
    "MetricOptions": "period statistic dimensionsMap unit label color account region",
    "Metric": "createAlarm",
    "CreateAlarmOptions": "threshold evaluationPeriods comparisonOperator datapointsToAlarm treatMissingData actionsEnabled "
    "alarmName alarmDescription evaluateLowSampleCountPercentile",
    "Alarm": "addAlarmAction addOkAction addInsufficientDataAction",
    "ScalableInstanceCount": "scaleOnInvocations",
    "EnableScalingProps": "maxCapacity minCapacity",
    "InvocationsScalingProps": "maxRequestsPerSecond safetyFactor policyName disableScaleIn scaleInCooldown scaleOutCooldown",
    "InstanceType": "of",
    "AcceleratorType": "of",
    "Pipeline": "new fromPipelineName fromPipelineArn fromPipelineAttributes grantStartPipelineExecution",
}
BY_ITSELF = {
    "InstanceType constants (96)",
    "AcceleratorType constants (6)",
    "AssetOptions (readers, sourceKMSKey, deployTime, bundling, exclude, …)",
    "Asset hash",
    "DockerImageAsset hash",
    "Target value",
    "Minimum and maximum capacity around the initial count",
    "Burstable types",
    "Scaling role",
    "Model role: trust",
    "Model role: AmazonSageMakerFullAccess",
    "Image grant",
    "Data grant",
    "Key grant",
    "Model depends on role and policy",
    "VPC egress",
}
DEFECTS = [str(number) for number in range(1, 15)]


class Row(NamedTuple):
    """A line of a table.

    :param cdk: The CDK's name, or a defect's number.
    :param ours: What ours is.
    :param tests: The tests that prove it.
    """

    cdk: str
    ours: str
    tests: list[str]


def rows() -> list[Row]:
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("| ") else []
        cells = [cell.removesuffix(" |") for cell in cells]
        if cells and cells[0] not in ("CDK", "#"):
            found.append(Row(cells[0], cells[-2], CODE.findall(cells[-1])))
    return found


ROWS = rows()


@cache
def named_in(path: str) -> frozenset[str]:
    """Return the tests of a file, as pytest names them."""
    tree = ast.parse((ROOT / "tests" / path).read_text())
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return frozenset(names)


def test_every_member_of_the_cdks_library_has_one_row_and_every_defect() -> None:
    members = [f"{owner}.{name}" for owner, names in CDK.items() for name in names.split()]
    assert sorted(row.cdk for row in ROWS) == sorted([*members, *BY_ITSELF, *DEFECTS])


def test_what_the_rows_say_is_there() -> None:
    assert [problem for row in ROWS for problem in problems(row)] == []


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (Row("Model.new", "`CreateModelOperator`", []), "Model.new: no test proves it"),
        (Row("Model.new", "–", []), "Model.new: a reason is missing"),
        (
            Row("x", "– Nobody needs a thing like this", ["parity/test_table.py::test_x"]),
            "x: there is no test parity/",
        ),
        (
            Row("x", "`Model`", ["parity/test_table.py::test_the_page_is_linked"]),
            "x: Model: is no name of ours",
        ),
        (
            Row("x", "`ContainerImage.from_hub`", ["parity/test_table.py::test_the_page_is_linked"]),
            "x: ContainerImage.from_hub: is no name of ours",
        ),
        (
            Row(
                "x",
                "`BuildImageOperator(target, network_mode)`",
                ["parity/test_table.py::test_the_page_is_linked"],
            ),
            "x: BuildImageOperator has no parameter network_mode",
        ),
        (
            Row("x", "`ml.t2.medium or so`", ["parity/test_table.py::test_the_page_is_linked"]),
            "between backticks",
        ),
    ],
    ids=str,
)
def test_what_is_not_there_is_found_out(row: Row, problem: str) -> None:
    [found] = problems(row)
    assert problem in found


def problems(row: Row) -> Iterator[str]:
    """Find what a row says and is not so."""
    for test in row.tests:
        path, _, name = test.partition("::")
        if not name.rpartition("::")[2].startswith("test_") or name not in named_in(path):
            yield f"{row.cdk}: there is no test {test}"
    for name in CODE.findall(row.ours):
        matched = NAME.fullmatch(name)
        if not matched:
            yield f"{row.cdk}: {name}: only names of ours stand between backticks in this column"
            continue
        try:
            value = resolved(matched["path"])
        except AttributeError:
            yield f"{row.cdk}: {name}: is no name of ours"
            continue
        for parameter in (matched["parameters"] or "").split(", "):
            if parameter and parameter not in parameters_of(value):
                yield f"{row.cdk}: {matched['path']} has no parameter {parameter}"
    if row.ours.startswith("–"):
        if len(row.ours) < 20:
            yield f"{row.cdk}: a reason is missing"
    elif not row.tests:
        yield f"{row.cdk}: no test proves it"


def resolved(path: str) -> Any:
    """Return what a dotted name below the package stands for."""
    first, *rest = path.split(".")
    if first in ("hooks", "policies"):
        value: Any = import_module(f"airflow_sm_hosting.{first}")
    else:
        value = getattr(airflow_sm_hosting, first)
    for name in rest:
        value = getattr(value, name)
    return value


def parameters_of(value: Any) -> set[str]:
    """Return the parameters of a function, or of a class and its bases."""
    if not inspect.isclass(value):
        return set(inspect.signature(value).parameters)
    # Airflow's metaclass wraps the constructors.
    constructors = [inspect.unwrap(base.__init__) for base in value.__mro__ if "__init__" in vars(base)]
    return {name for one in constructors for name in inspect.signature(one).parameters}


def test_the_page_is_linked() -> None:
    assert "cdk-parity.md" in (ROOT / "docs" / "index.md").read_text()
    assert "docs/cdk-parity.md" in (ROOT / "README.md").read_text()
