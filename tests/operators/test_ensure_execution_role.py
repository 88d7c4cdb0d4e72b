"""The execution role: made, reconciled, waited for, and nobody else's put into disorder."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

import pytest
from airflow.sdk import DAG
from hypothesis import given, strategies as st

from airflow_sm_hosting import ContainerImage, EnsureExecutionRoleOperator, ModelData, policies
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.policies.role import Role, is_trusting, lacking, trusting
from airflow_sm_hosting.spec.tags import OURS
from tests.operators.conftest import answering, operations, refusal, run_task, sent, task_id

NAME = "churn-execution"
ARN = f"arn:aws:iam::123456789012:role/{NAME}"
LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
BOUNDARY = "arn:aws:iam::123456789012:policy/bound"


def operator(**options: Any) -> EnsureExecutionRoleOperator:
    pieces = {} if "policy" in options else {"model_data": ["s3://models/churn/"], "repositories": ["churn"]}
    return EnsureExecutionRoleOperator(task_id=task_id(), role_name=NAME, **{**pieces, **options})


@pytest.fixture
def iam(aws: LocalAws) -> Any:
    return aws.client("iam")


@pytest.fixture
def operators_iam(aws: LocalAws) -> Any:
    """The client that the operator uses."""
    from airflow_sm_hosting.hooks import IamHook

    return IamHook().conn


def policy_of(iam: Any, name: str = "sm-hosting") -> dict[str, Any]:
    found: dict[str, Any] = iam.get_role_policy(RoleName=NAME, PolicyName=name)["PolicyDocument"]
    return found


def test_the_role_is_made_with_trust_policy_and_tags(aws: LocalAws, iam: Any, dag: DAG) -> None:
    ran = run_task(operator(tags={"team": "risk"}, path="/models/"))
    arn = ARN.replace(NAME, f"models/{NAME}")
    assert ran.value == arn
    role = iam.get_role(RoleName=NAME)["Role"]
    assert role["Arn"] == arn
    assert role["AssumeRolePolicyDocument"] == policies.trust()
    assert {tag["Key"]: tag["Value"] for tag in role["Tags"]} == {"team": "risk", **OURS}
    assert policy_of(iam) == policies.execution_role(
        model_data=["s3://models/churn/"],
        repositories=["churn"],
        region_name="us-east-1",
        account_id="123456789012",
    )
    assert iam.list_attached_role_policies(RoleName=NAME)["AttachedPolicies"] == []
    assert ran.details == {
        "role_name": NAME,
        "created": True,
        "written": ["role", "policy"],
        "other_policies": [],
    }


def test_an_unchanged_rerun_writes_nothing(aws: LocalAws, dag: DAG) -> None:
    options = {"tags": {"team": "risk"}, "path": "/models/"}
    run_task(operator(**options))
    aws.clear_requests()
    ran = run_task(operator(**options))
    assert operations(aws) == ["GetRole", "GetRolePolicy", "ListRolePolicies", "ListAttachedRolePolicies"]
    assert (ran.details["created"], ran.details["written"]) == (False, [])


def test_the_next_artifact_of_the_same_prefix_writes_nothing(aws: LocalAws, dag: DAG) -> None:
    for digit in "ab":
        aws.clear_requests()
        run_task(operator(model_data=[f"s3://models/churn/{digit * 64}.tar.gz"]))
    assert operations(aws, mutating=True) == []


@pytest.mark.parametrize(
    ("change", "written"),
    [
        ({"model_data": ["s3://models/other/"]}, ["PutRolePolicy"]),
        ({"kms_key_ids": ["1234abcd-12ab-34cd-56ef-1234567890ab"]}, ["PutRolePolicy"]),
        ({"tags": {"team": "risk"}}, ["TagRole"]),
        ({"permissions_boundary": BOUNDARY}, ["PutRolePermissionsBoundary"]),
        (
            {"tags": {"team": "risk"}, "statements": DENY["Statement"]},
            ["TagRole", "PutRolePolicy"],
        ),
    ],
)
def test_only_what_differs_is_written(
    aws: LocalAws, iam: Any, dag: DAG, change: dict[str, Any], written: list[str]
) -> None:
    run_task(operator())
    aws.clear_requests()
    run_task(operator(**change))
    assert operations(aws, mutating=True) == written
    aws.clear_requests()
    run_task(operator(**change))
    assert operations(aws, mutating=True) == []


def test_a_policy_of_ones_own_takes_the_place_of_the_pieces(iam: Any, dag: DAG) -> None:
    run_task(operator(policy=DENY))
    assert policy_of(iam) == DENY


def test_what_is_given_is_rendered(iam: Any, dag: DAG) -> None:
    task = EnsureExecutionRoleOperator(
        task_id="role",
        role_name="{{ 'churn' }}-execution",
        model_data=["s3://models/{{ 'churn' }}/"],
        repositories=[ContainerImage.from_ecr_repository("{{ 'churn' }}")],
        adopt="{{ False }}",
        propagation_timeout="{{ 5 }}",
        tags={"team": "{{ 'risk' }}"},
    )
    assert run_task(task).value == ARN
    read, _, pull = (statement["Resource"] for statement in policy_of(iam)["Statement"][:3])
    assert read == ["arn:aws:s3:::models/churn/*"]
    assert pull == ["arn:aws:ecr:us-east-1:123456789012:repository/churn"]


def test_the_model_is_made_with_the_roles_arn(aws: LocalAws, dag: DAG) -> None:
    from airflow_sm_hosting import ContainerDefinition, CreateModelOperator
    from tests.operators.conftest import IMAGE

    role = run_task(operator()).value
    model = run_task(
        CreateModelOperator(
            task_id="model",
            model_name="churn",
            containers=[ContainerDefinition(image=IMAGE)],
            execution_role=role,
        )
    ).value
    assert aws.client("sagemaker").describe_model(ModelName=model)["ExecutionRoleArn"] == ARN


# Other people's


def test_other_policies_are_left_alone_and_told(aws: LocalAws, iam: Any, dag: DAG) -> None:
    run_task(operator())
    managed = iam.create_policy(PolicyName="managed", PolicyDocument=json.dumps(DENY))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=NAME, PolicyArn=managed)
    iam.put_role_policy(RoleName=NAME, PolicyName="theirs", PolicyDocument=json.dumps(DENY))
    ran = run_task(operator(model_data=["s3://models/other/"]))
    assert ran.details["other_policies"] == ["theirs", managed]
    assert policy_of(iam, "theirs") == DENY
    assert len(iam.list_attached_role_policies(RoleName=NAME)["AttachedPolicies"]) == 1


def test_a_role_of_somebody_elses_is_not_touched_without_adopt(aws: LocalAws, iam: Any, dag: DAG) -> None:
    iam.create_role(
        RoleName=NAME,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [LAMBDA]}),
        Tags=[{"Key": "owner", "Value": "them"}],
    )
    aws.clear_requests()
    with pytest.raises(ConflictError, match=r"does not have this package's tags.*adopt=True"):
        run_task(operator())
    assert operations(aws) == ["GetRole"]

    ran = run_task(operator(adopt=True))
    assert ran.details["written"] == ["trust policy", "policy", "tags"]
    role = iam.get_role(RoleName=NAME)["Role"]
    # Who could assume it still can.
    assert role["AssumeRolePolicyDocument"]["Statement"] == [LAMBDA, *policies.trust()["Statement"]]
    assert {tag["Key"]: tag["Value"] for tag in role["Tags"]} == {"owner": "them", **OURS}
    aws.clear_requests()
    run_task(operator())
    assert operations(aws, mutating=True) == []


def test_a_path_cannot_change(iam: Any, dag: DAG) -> None:
    run_task(operator(path="/a/"))
    run_task(operator())  # not asked for
    with pytest.raises(ConflictError, match=r"has the path '/a/', not '/b/'; IAM cannot change"):
        run_task(operator(path="/b/"))


def test_a_boundary_that_somebody_set_stays(iam: Any, dag: DAG) -> None:
    run_task(operator(permissions_boundary=BOUNDARY))
    run_task(operator())
    boundary = iam.get_role(RoleName=NAME)["Role"]["PermissionsBoundary"]
    assert boundary["PermissionsBoundaryArn"] == BOUNDARY


# Killed, raced, late

WRITES = ("CreateRole", "TagRole", "PutRolePermissionsBoundary", "PutRolePolicy", "UpdateAssumeRolePolicy")


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize("taken", [False, True], ids=["before it", "after it"])
def test_a_task_that_is_killed_at_a_write_is_healed_by_the_rerun(
    iam: Any, operators_iam: Any, dag: DAG, operation: str, taken: bool
) -> None:
    options: dict[str, Any] = {"tags": {"team": "risk"}, "permissions_boundary": BOUNDARY, "adopt": True}
    if operation != "CreateRole":  # all the others are met at once
        trust = json.dumps({"Version": "2012-10-17", "Statement": [LAMBDA]})
        iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=trust)

    class KilledError(BaseException):
        pass

    def kill(**_: Any) -> None:
        raise KilledError

    event = "after-call" if taken else "before-call"
    with ExitStack() as hooks:
        operators_iam.meta.events.register(f"{event}.*.{operation}", kill)
        hooks.callback(operators_iam.meta.events.unregister, f"{event}.*.{operation}", kill)
        with pytest.raises(KilledError):
            run_task(operator(**options))
    assert run_task(operator(**options)).value == ARN
    role = iam.get_role(RoleName=NAME)["Role"]
    assert {tag["Key"]: tag["Value"] for tag in role["Tags"]} == {"team": "risk", **OURS}
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == BOUNDARY
    assert is_trusting(role["AssumeRolePolicyDocument"])
    assert policy_of(iam)
    run_task(operator(**{**options, "adopt": False}))


def test_another_run_that_was_quicker_is_no_error(iam: Any, operators_iam: Any, dag: DAG) -> None:
    def quicker(**_: Any) -> None:
        iam.create_role(
            RoleName=NAME,
            AssumeRolePolicyDocument=json.dumps(policies.trust()),
            Tags=[{"Key": key, "Value": value} for key, value in OURS.items()],
        )

    operators_iam.meta.events.register("before-call.*.CreateRole", quicker)
    try:
        ran = run_task(operator())
    finally:
        operators_iam.meta.events.unregister("before-call.*.CreateRole", quicker)
    assert (ran.details["created"], ran.details["written"]) == (False, ["policy"])


@pytest.mark.usefixtures("short_pauses")
def test_a_role_that_iam_does_not_see_yet_is_written_again(operators_iam: Any, dag: DAG) -> None:
    unseen = refusal("NoSuchEntity", status=404)
    with answering(
        operators_iam, "PutRolePolicy", unseen, refusal("ConcurrentModification", status=409)
    ) as left:
        run_task(operator())
    assert left == []


@pytest.mark.usefixtures("short_pauses")
def test_it_waits_until_iam_shows_what_was_written(operators_iam: Any, dag: DAG) -> None:
    # The first look is before the role is made; the next two come too early.
    with answering(operators_iam, "GetRole", None, *[refusal("NoSuchEntity", status=404)] * 2) as left:
        assert run_task(operator()).value == ARN
    assert left == []


def test_a_policy_that_never_comes_to_be_seen_is_told(operators_iam: Any, dag: DAG) -> None:
    unseen = [refusal("NoSuchEntity", status=404)] * 50
    with (
        answering(operators_iam, "GetRolePolicy", *unseen),
        pytest.raises(ConflictError, match=r"after 1 s IAM does not show the change \(policy\)"),
    ):
        run_task(operator(propagation_timeout=1))


@pytest.mark.parametrize(
    ("code", "words"),
    [("MalformedPolicyDocument", "Syntax errors"), ("LimitExceeded", "Maximum policy size")],
)
def test_what_iam_says_of_a_policy_is_told(operators_iam: Any, dag: DAG, code: str, words: str) -> None:
    with (
        answering(operators_iam, "PutRolePolicy", refusal(code, f"{words} in policy.")),
        pytest.raises(InvalidSpecError, match=f"Role {NAME}: IAM rejects the policy: {words}"),
    ):
        run_task(operator())


# Bad input

BAD: list[tuple[dict[str, Any], str]] = [
    ({"role_name": "team/churn"}, "role_name is 'team/churn'; allowed: 1 to 64 letters.* without a path"),
    ({"role_name": "x" * 65}, "role_name is"),
    ({"role_name": ""}, "role_name is ''"),
    ({"policy_name": "a b"}, "policy_name is 'a b'"),
    ({"path": "models"}, "path is 'models'; allowed: '/', or a path that starts and ends with '/'"),
    ({"permissions_boundary": "bound"}, "permissions_boundary is 'bound'; allowed: the ARN of a managed policy"),
    ({"model_data": ["s3://models/"]}, "whole bucket"),
    ({"model_data": "s3://models/churn/"}, "model_data is a str; allowed: a list"),
    ({"repositories": ["ghcr.io/x/y"]}, "images in other registries"),
    ({"kms_key_ids": ["alias/x"]}, "does not refer to its key"),
    ({"statements": [{"Effect": "Allow"}]}, r"statements\[0\] must have exactly one of"),
    ({"statements": [{"Effect": "Allow", "Action": "x" * 10_241, "Resource": "*"}]}, "characters; allowed: 10240"),
    ({"policy": DENY, "model_data": ["s3://models/churn/"]}, "policy is given with model_data; allowed: either the policy, or the parameters"),
    ({"policy": "{}"}, "is not a policy document"),
    ({"policy": {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}]}}, "has a Principal"),
    ({"tags": 5}, "tags is"),
    ({"tags": {f"k{number}": "" for number in range(50)}}, "tags has 50 tags; allowed: 49"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "message"), [*BAD, ({"propagation_timeout": 0.5}, "propagation_timeout is 0.5")]
)
def test_bad_literals_break_the_dag_file(dag: DAG, bad: dict[str, Any], message: str) -> None:
    options = {
        "role_name": NAME,
        **({} if "policy" in bad else {"model_data": ["s3://models/churn/"]}),
        **bad,
    }
    with pytest.raises(InvalidSpecError, match=f"EnsureExecutionRoleOperator: .*{message}"):
        EnsureExecutionRoleOperator(task_id="role", **options)


@pytest.mark.parametrize(
    ("bad", "message"),
    [*BAD, ({"propagation_timeout": 0.5}, "propagation_timeout is 0.5"), ({"adopt": "maybe"}, "adopt is")],
)
def test_bad_rendered_values_are_found_before_the_first_call(
    aws: LocalAws, dag: DAG, bad: dict[str, Any], message: str
) -> None:
    options = {"role_name": NAME, **({} if "policy" in bad else {"model_data": ["s3://models/churn/"]})}
    task = EnsureExecutionRoleOperator(task_id="role", **dict.fromkeys(options | bad, "{{ later }}"))
    for name, value in (dict.fromkeys(options | bad) | options | bad).items():
        setattr(task, name, value)
    aws.clear_requests()
    with pytest.raises(InvalidSpecError, match=message):
        task.execute({"ti": None})
    assert operations(aws) == []


def test_what_is_rendered_later_is_not_checked_too_early(dag: DAG) -> None:
    EnsureExecutionRoleOperator(
        task_id="role",
        role_name="{{ name }}",
        model_data=["{{ url }}", ModelData.from_bucket("models", "{{ key }}")],
        repositories=[ContainerImage.from_dlc("pytorch-inference", "{{ tag }}"), "{{ image }}"],
        statements="{{ statements }}",
        tags="{{ tags }}",
    )
    EnsureExecutionRoleOperator(task_id="other", role_name="r", policy="{{ policy }}")


def test_nothing_that_was_given_is_changed(iam: Any, dag: DAG) -> None:
    given = {"policy": json.loads(json.dumps(DENY)), "tags": {"a": "b"}}
    run_task(operator(**given))
    assert given == {"policy": DENY, "tags": {"a": "b"}}


def test_the_documents_are_sent_without_white_space(iam: Any, operators_iam: Any, dag: DAG) -> None:
    with sent(operators_iam, "PutRolePolicy") as requests:
        run_task(operator())
    assert " " not in requests[0]["PolicyDocument"]


# The decision

STATEMENTS = st.sampled_from([LAMBDA, *policies.trust()["Statement"], {**LAMBDA, "Effect": "Deny"}])


@given(st.lists(STATEMENTS, max_size=3), st.dictionaries(st.sampled_from("abc"), st.sampled_from("12")))
def test_what_was_written_lacks_nothing_and_takes_nothing_away(
    statements: list[dict[str, Any]], tags: dict[str, str]
) -> None:
    found = Role(None, tags, None, {"Version": "2012-10-17", "Statement": statements})
    wanted = Role(DENY, {"a": "1"}, BOUNDARY)
    lacks = lacking(found, wanted)
    trust = lacks.trust_policy or found.trust_policy
    assert trust is not None
    after = Role(lacks.policy, {**tags, **lacks.tags}, lacks.permissions_boundary, trust)
    assert lacking(after, wanted).names == []
    assert [one for one in statements if one not in trust["Statement"]] == []


@pytest.mark.parametrize(
    ("statement", "trusted"),
    [
        (policies.trust()["Statement"][0], True),
        ({**LAMBDA, "Principal": {"Service": ["a", "sagemaker.amazonaws.com"]}}, True),
        (
            {
                **policies.trust()["Statement"][0],
                "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
            },
            True,
        ),
        (LAMBDA, False),
        ({**policies.trust()["Statement"][0], "Effect": "Deny"}, False),
        ({**policies.trust()["Statement"][0], "Action": "sts:TagSession"}, False),
        ({"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}, False),
    ],
)
def test_who_trusts_sagemaker(statement: dict[str, Any], trusted: bool) -> None:
    document = {"Version": "2012-10-17", "Statement": statement}
    assert is_trusting(document) == trusted
    assert is_trusting(trusting(document))
