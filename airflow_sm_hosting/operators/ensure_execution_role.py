"""Create or reconcile the role that SageMaker assumes for a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError
from airflow_sm_hosting.fields import Boolean, ListOf, References, Seconds, Tags, Text, Value, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.checks import check_text, is_rendered_later
from airflow_sm_hosting.spec.tags import OURS, is_ours

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.hooks.iam import IamHook
    from airflow_sm_hosting.policies.role import Lacking, Role
    from airflow_sm_hosting.spec.reference import Reference

#: IAM, CreateRole and PutRolePolicy (botocore, iam): names of roles and of inline policies, paths, ARNs of boundaries.
ROLE_NAME = r"[\w+=,.@-]{1,64}"
POLICY_NAME = r"[\w+=,.@-]{1,128}"
PATH = r"/|/[!-~]{1,510}/"
POLICY_ARN = r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+"
MOST_TAGS = 49  # 50, and ours

#: Placeholder for the account in the checks before the first call: ARNs have the same length as with the real account.
ANY_ACCOUNT = "0" * 12

#: The parts of the policy, see :func:`airflow_sm_hosting.policies.execution_role`.
PIECES = (
    "model_data",
    "repositories",
    "kms_key_ids",
    "output_data",
    "output_kms_key_ids",
    "volume_kms_key_ids",
    "topics",
    "alarms",
    "secrets",
    "subnets",
    "security_group_ids",
    "statements",
)


#: The Region of a policy while its own is not known; it matters for AWS Deep Learning Containers only.
ANY_REGION = "us-east-1"

_LETTERS = "letters, digits and _ + = , . @ -"


def _check_role_name(where: str, value: Any) -> None:
    check_text(where, value, pattern=ROLE_NAME, allowed=f"1 to 64 {_LETTERS}, without a path")


def _check_policy_name(where: str, value: Any) -> None:
    check_text(where, value, pattern=POLICY_NAME, allowed=f"1 to 128 {_LETTERS}")


def _check_path(where: str, value: Any) -> None:
    check_text(where, value, pattern=PATH, allowed="'/', or a path that starts and ends with '/'")


def _check_boundary(where: str, value: Any) -> None:
    check_text(where, value, pattern=POLICY_ARN, allowed="the ARN of a managed policy")


class EnsureExecutionRoleFields(AwsFields):
    """The parameters of :class:`EnsureExecutionRoleOperator`."""

    role_name = Text(_check_role_name)
    policy = optional(Value(json=True))
    model_data = References(json=True)
    repositories = References(json=True)
    kms_key_ids = ListOf()
    output_data = ListOf()
    output_kms_key_ids = ListOf()
    volume_kms_key_ids = ListOf()
    topics = ListOf()
    alarms = ListOf()
    secrets = ListOf()
    subnets = ListOf()
    security_group_ids = ListOf()
    statements = ListOf(json=True)
    policy_name = Text(_check_policy_name, default="sm-hosting")
    path = optional(Text(_check_path))
    # A blank boundary is an error, not None: otherwise the role would have no boundary by mistake.
    permissions_boundary = optional(Text(_check_boundary, blank=False))
    tags = Tags(most=MOST_TAGS)
    adopt = Boolean(default=False)
    propagation_timeout = Seconds(low=1, default=120)

    def check_together(self, where: str) -> None:
        """Check the policy, as far as it is known."""
        pieces = {piece: self.values[piece] for piece in PIECES}
        if self.policy is not None:
            if not _is_open(self.policy):
                self._check_policy(f"{where}policy", [piece for piece, value in pieces.items() if value])
            return
        region = self.region_name
        known = isinstance(region, str) and not is_rendered_later(region)
        try:
            self._made_policy(
                {piece: _literals(value) for piece, value in pieces.items()},
                region_name=str(region) if known else ANY_REGION,
                account_id=ANY_ACCOUNT,
            )
        except InvalidSpecError as error:
            raise InvalidSpecError(f"{where}{error}") from None

    def policy_of(self, region_name: str, account_id: str) -> dict[str, Any]:
        """Return the policy of an account's role in a Region."""
        if self.policy is not None:
            return dict(self.policy)
        pieces = {piece: self.values[piece] for piece in PIECES}
        return self._made_policy(pieces, region_name=region_name, account_id=account_id)

    def _made_policy(self, pieces: Mapping[str, Any], *, region_name: str, account_id: str) -> dict[str, Any]:
        from airflow_sm_hosting import policies

        policy = policies.execution_role(**pieces, region_name=region_name, account_id=account_id)
        policies.check_size(f"The policy of role {self.role_name}", policy)
        return policy

    def _check_policy(self, where: str, pieces: list[str]) -> None:
        from airflow_sm_hosting import policies

        if pieces:
            raise InvalidSpecError(
                f"{where} is given with {', '.join(pieces)}; allowed: either the policy, or the parameters "
                "that build it."
            )
        policies.check_document(where, self.policy)


class EnsureExecutionRoleOperator(SageMakerHostingBaseOperator):
    """Create the execution role of a model with least privilege, or reconcile the existing role.

    Reads first and writes only differences: the trust policy (SageMaker is added, no principal is removed), one inline policy, tags and
    boundary. Other policies of the role stay unchanged and are listed in ``details``. After a write it waits until IAM shows the change.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#ensureexecutionroleoperator
        AWS: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html

    :param role_name: Name of the role, without its path: 1 to 64 letters, digits and ``_ + = , . @ -``. (templated)
    :param policy: The policy document, as a dict, instead of the pieces below (default: made from them). (templated)
    :param model_data: What the model reads: ``s3://`` or ``https://`` URLs of prefixes or objects, or
        :class:`~airflow_sm_hosting.ModelData`; an object stands for the prefix that it lies in. (templated)
    :param repositories: ECR repositories of its images: names, ARNs, image URIs or :class:`~airflow_sm_hosting.ContainerImage`. (templated)
    :param kms_key_ids: Keys that the model data is encrypted with, as ids or ARNs. (templated)
    :param output_data: Prefixes that captured data and results of asynchronous invocations are written to. (templated)
    :param output_kms_key_ids: Keys that these are encrypted with. (templated)
    :param volume_kms_key_ids: Keys of the endpoint configs. (templated)
    :param topics: SNS topics of asynchronous invocations, as names or ARNs. (templated)
    :param alarms: CloudWatch alarms that roll back a deployment, as names or ARNs. (templated)
    :param secrets: Secrets Manager secrets that the containers read, as names or ARNs. (templated)
    :param subnets: The model's subnets (default: no VPC). (templated)
    :param security_group_ids: The model's security groups. (templated)
    :param statements: Further statements, for what the containers do by themselves. (templated)
    :param policy_name: Name of the inline policy that the operator manages (default: ``sm-hosting``). (templated)
    :param path: Path of the role, ``/…/``; a role never changes its path (default: ``/`` for a new one, any for one that exists). (templated)
    :param permissions_boundary: ARN of the policy that bounds the role (default: none is set, one that is there stays). (templated)
    :param tags: Tags, as a dict; they are reconciled, other people's tags stay unchanged. (templated)
    :param adopt: Whether the task may change a role without this package's tags (default: False). (templated)
    :param propagation_timeout: Seconds, or a timedelta, within which IAM must show the change, 1 or more (default: 120). (templated)
    :raises InvalidSpecError: Before the first AWS call, for parameters that can never work.
    :raises ConflictError: When the role is not ours, has another path, or the change does not persist.
    :return: The role's ARN; ``details`` (XCom): role_name, created, written, other_policies.
    """

    fields = EnsureExecutionRoleFields
    template_fields: Sequence[str] = EnsureExecutionRoleFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = (
        EnsureExecutionRoleFields.template_fields_renderers()
    )

    def __init__(
        self,
        *,
        role_name: Late,
        policy: Mapping[str, Any] | Late | None = None,
        model_data: Sequence[Reference | Late] | Late = (),
        repositories: Sequence[Reference | Late] | Late = (),
        kms_key_ids: Sequence[Late] | Late = (),
        output_data: Sequence[Late] | Late = (),
        output_kms_key_ids: Sequence[Late] | Late = (),
        volume_kms_key_ids: Sequence[Late] | Late = (),
        topics: Sequence[Late] | Late = (),
        alarms: Sequence[Late] | Late = (),
        secrets: Sequence[Late] | Late = (),
        subnets: Sequence[Late] | Late = (),
        security_group_ids: Sequence[Late] | Late = (),
        statements: Sequence[Mapping[str, Any] | Late] | Late = (),
        policy_name: Late = "sm-hosting",
        path: Late | None = None,
        permissions_boundary: Late | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        adopt: bool | Late = False,
        propagation_timeout: float | timedelta | Late = 120,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.role_name = role_name
        self.policy = policy
        self.model_data = model_data
        self.repositories = repositories
        self.kms_key_ids = kms_key_ids
        self.output_data = output_data
        self.output_kms_key_ids = output_kms_key_ids
        self.volume_kms_key_ids = volume_kms_key_ids
        self.topics = topics
        self.alarms = alarms
        self.secrets = secrets
        self.subnets = subnets
        self.security_group_ids = security_group_ids
        self.statements = statements
        self.policy_name = policy_name
        self.path = path
        self.permissions_boundary = permissions_boundary
        self.tags = tags
        self.adopt = adopt
        self.propagation_timeout = propagation_timeout

    def execute(self, context: Context) -> str:
        """Read the existing role, write the differences, and wait until IAM shows them."""
        from airflow_sm_hosting.policies.role import Role, lacking

        given = EnsureExecutionRoleFields.of(self)
        name, tags = given.role_name, {**given.tags, **OURS}
        # Checked before the first call, with the Region that the connection names.
        given.policy_of(self.iam_hook.conn_region_name, ANY_ACCOUNT)

        hook = self.iam_hook
        role: Mapping[str, Any] | None = hook.role(name)
        created = self._create(hook, given, tags) if role is None else None
        # If the role was neither found nor created, another run has created it meanwhile.
        present: Mapping[str, Any] = (
            role or created or hook.until_seen(partial(hook.conn.get_role, RoleName=name))["Role"]
        )
        if created is None:
            self._check_ownership(present, given)
        arn = str(present["Arn"])
        policy = given.policy_of(hook.conn_region_name, arn.split(":")[4])
        wanted = Role(policy, tags, given.permissions_boundary)
        lacks = lacking(hook.described(present, given.policy_name), wanted)
        self._write(hook, given, lacks)
        written = [*(["role"] if created else []), *lacks.names]
        if written:
            self._wait(hook, given, wanted)
        else:
            self.log.info("The role %s is up to date; nothing to do", arn)
        others = self._other_policies(hook, given)
        self.push_details(
            context,
            {"role_name": name, "created": created is not None, "written": written, "other_policies": others},
        )
        return arn

    def _create(
        self, hook: IamHook, given: EnsureExecutionRoleFields, tags: dict[str, str]
    ) -> dict[str, Any] | None:
        """Create the role and return it; None when another run has created it meanwhile."""
        from botocore.exceptions import ClientError

        from airflow_sm_hosting.hooks.errors import error_code
        from airflow_sm_hosting.policies import trust
        from airflow_sm_hosting.policies.document import compact
        from airflow_sm_hosting.spec.tags import tag_list

        arn = given.permissions_boundary
        boundary: dict[str, Any] = {"PermissionsBoundary": arn} if arn else {}
        try:
            made = hook.conn.create_role(
                RoleName=given.role_name,
                Path=given.path or "/",
                AssumeRolePolicyDocument=compact(trust()),
                Description="Execution role of SageMaker models",
                Tags=tag_list(tags),
                **boundary,
            )
        except ClientError as error:
            if error_code(error) != "EntityAlreadyExists":
                raise
            return None
        self.log.info("Created role %s", made["Role"]["Arn"])
        # The answer of CreateRole has neither tags nor boundary in every version of the API.
        return {"Tags": tag_list(tags), **made["Role"]}

    @staticmethod
    def _check_ownership(role: Mapping[str, Any], given: EnsureExecutionRoleFields) -> None:
        if given.path and role["Path"] != given.path:
            raise ConflictError(
                f"The role {role['RoleName']} exists and has the path {role['Path']!r}, not {given.path!r}; "
                "IAM cannot change a role's path: use another name, or no path."
            )
        if not given.adopt and not is_ours({tag["Key"]: tag["Value"] for tag in role.get("Tags", [])}):
            raise ConflictError(
                f"The role {role['Arn']} does not have this package's tags, so something else created it; "
                "adopt=True adds the policy anyway and leaves the role's other policies alone."
            )

    def _write(self, hook: IamHook, given: EnsureExecutionRoleFields, lacks: Lacking) -> None:
        """Write the differences; each write is valid alone, so after a kill between two writes the next try continues there."""
        from botocore.exceptions import ClientError

        from airflow_sm_hosting.hooks.errors import error_code, error_message
        from airflow_sm_hosting.policies.document import compact
        from airflow_sm_hosting.spec.tags import tag_list

        name = given.role_name
        put: list[tuple[Any, dict[str, Any]]] = []
        if lacks.tags:
            put.append((hook.conn.tag_role, {"Tags": tag_list(lacks.tags)}))
        if lacks.permissions_boundary:
            put.append(
                (
                    hook.conn.put_role_permissions_boundary,
                    {"PermissionsBoundary": lacks.permissions_boundary},
                )
            )
        if lacks.policy:
            document = {"PolicyName": given.policy_name, "PolicyDocument": compact(lacks.policy)}
            put.append((hook.conn.put_role_policy, document))
        if lacks.trust_policy:
            put.append((hook.conn.update_assume_role_policy, {"PolicyDocument": compact(lacks.trust_policy)}))
        for call, members in put:
            try:
                hook.until_seen(partial(call, RoleName=name, **members))
            except ClientError as error:
                if error_code(error) not in ("MalformedPolicyDocument", "LimitExceeded"):
                    raise
                # Its other inline policies count, too.
                raise InvalidSpecError(
                    f"Role {name}: IAM rejects the policy: {error_message(error)}"
                ) from None
        if lacks.names:
            self.log.info("Updated role %s: %s", name, ", ".join(lacks.names))

    @staticmethod
    def _wait(hook: IamHook, given: EnsureExecutionRoleFields, wanted: Role) -> None:
        """Wait until IAM shows the change.

        A change may be invisible for seconds, and longer for services of other Regions
        (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency).
        """
        from tenacity import (
            RetryError,
            Retrying,
            retry_if_result,
            stop_after_delay,
            wait_exponential,
            wait_random,
        )

        from airflow_sm_hosting.policies.role import lacking

        name, timeout = given.role_name, given.propagation_timeout

        def unseen() -> list[str]:
            role: Mapping[str, Any] | None = hook.role(name)
            return lacking(hook.described(role, given.policy_name), wanted).names if role else ["role"]

        retrying = Retrying(
            retry=retry_if_result(bool),
            wait=wait_exponential(multiplier=0.25, max=5) + wait_random(0, 0.25),
            stop=stop_after_delay(timeout),
        )
        try:
            retrying(unseen)
        except RetryError as error:
            raise ConflictError(
                f"The role {name} was updated, but after {timeout:g} s IAM does not show the change "
                f"({', '.join(error.last_attempt.result())}); does something else also change the role?"
            ) from None

    def _other_policies(self, hook: IamHook, given: EnsureExecutionRoleFields) -> list[str]:
        """Return names and ARNs of the policies that are not ours."""
        name = given.role_name
        inline = [
            other for other in hook.until_seen(partial(hook.policy_names, name)) if other != given.policy_name
        ]
        others = [*inline, *hook.attached_policies(name)]
        if others:
            self.log.warning(
                "The role %s has other policies, which are left alone: %s", name, ", ".join(others)
            )
        return others


def _literals(value: Any) -> Any:
    """Return the literal items of a list while the DAG file is parsed; a value that is not a list is left to the check."""
    if is_rendered_later(value) or value is None:
        return []
    return [item for item in value if not _is_open(item)] if isinstance(value, list | tuple) else value


def _is_open(value: Any) -> bool:
    """Return whether Airflow fills in a part of a value later."""
    if isinstance(value, dict):
        return any(map(_is_open, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_is_open, value))
    return is_rendered_later(value)
