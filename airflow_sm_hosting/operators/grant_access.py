"""Let another account use an image repository, model data, and a model package group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.exceptions import InvalidSpecError, NotFoundError
from airflow_sm_hosting.fields import ListOf, References, Text, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.arn import is_arn
from airflow_sm_hosting.spec.checks import check_text, invalid, is_rendered_later
from airflow_sm_hosting.spec.reference_parts import check_account, check_package_group, check_repository
from airflow_sm_hosting.spec.repository_settings import check_principals

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late

#: Codes with which ECR, S3 and SageMaker reject a policy: botocore's models, and S3, "List of error codes".
_REJECTED = ("InvalidParameterException", "MalformedPolicy", "ValidationException")


def _check_accounts(where: str, accounts: list[Any]) -> None:
    for index, account in enumerate(accounts):
        if not is_rendered_later(account):
            check_account(f"{where}[{index}]", account)


def _check_literal_principals(where: str, principals: list[Any]) -> None:
    check_principals(where, [one for one in principals if not is_rendered_later(one)])


def _check_sid(where: str, value: Any) -> None:
    # Statements of ours get numbers behind it. IAM user guide, "reference_policies_elements_sid".
    check_text(
        where,
        value,
        pattern=r"[A-Za-z0-9]*[A-Za-z]",
        max_length=60,
        allowed="letters and digits, with a letter at the end, e.g. 'SmHostingProduction'",
    )


def _check_group_name(where: str, value: Any) -> None:
    check_package_group(where, value)
    if is_arn(value):
        raise invalid(
            where, value, "the name of a group of this account, as another account's policy cannot be changed"
        )


class GrantAccessFields(AwsFields):
    """The parameters of :class:`GrantAccessOperator`."""

    principals = ListOf(check=check_principals, literal_check=_check_literal_principals)
    service_accounts = ListOf(check=_check_accounts)
    repository_name = optional(Text(check_repository))
    model_data = References()
    model_package_group_name = optional(Text(_check_group_name))
    sid = Text(_check_sid, default="SmHostingAccess")

    def check_together(self, where: str) -> None:
        """Check that somebody gets access to something."""
        values = self.values.get
        principals, services = values("principals"), values("service_accounts")
        if not principals and not services:
            raise InvalidSpecError(f"{where}principals is empty; allowed: accounts and ARNs of roles.")
        if not any(map(values, ("repository_name", "model_data", "model_package_group_name"))):
            raise InvalidSpecError(
                f"{where}nothing is given to grant access to; allowed: repository_name, model_data or model_package_group_name."
            )
        if services and not values("repository_name"):
            raise InvalidSpecError(
                f"{where}service_accounts pull images, and repository_name is not given; allowed: both, or principals only."
            )
        if not principals and (values("model_data") or values("model_package_group_name")):
            raise InvalidSpecError(
                f"{where}model_data and model_package_group_name need principals; service_accounts only pull images."
            )


class GrantAccessOperator(SageMakerHostingBaseOperator):
    """Let another account pull images of a repository, read model data of a bucket, and deploy versions of a model package group.

    Each gets a statement of ours in its policy, which is replaced by its id (``Sid``); statements of others stay. Nothing is changed where
    the policy says so already. The other account must allow its roles the same: ``policies.execution_role(…)`` returns that. KMS keys are
    not changed: ``policies.key_use(…)`` returns what the key's policy needs.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#grantaccessoperator
        AWS: https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy.html

    :param principals: Who gets access: accounts of 12 digits, whose own policies then decide, or ARNs of roles in them. (templated)
    :param service_accounts: Accounts for which SageMaker itself pulls the images, as it does for serverless variants (default: none).
        (templated)
    :param repository_name: ECR repository whose images they pull (default: none). (templated)
    :param model_data: Model data that they read: ``s3://`` URLs of prefixes (ending ``/``) or objects of one bucket; an object stands for
        the prefix that it lies in (default: none). (templated)
    :param model_package_group_name: Model package group whose versions they describe, deploy and approve (default: none). (templated)
    :param sid: Id of our statements (default: ``SmHostingAccess``). Each task that grants something else on the same resource needs its own.
        (templated)
    :raises InvalidSpecError: For an invalid value before the first AWS call, and when AWS rejects the policy: it does so for a role that
        does not exist.
    :raises NotFoundError: When the repository, the bucket or the group does not exist.
    :return: The id of the statements; ``details`` (XCom): changed, unchanged (lists of resources).
    """

    fields = GrantAccessFields
    template_fields: Sequence[str] = GrantAccessFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = GrantAccessFields.template_fields_renderers()

    def __init__(
        self,
        *,
        principals: Sequence[Any] | Late = (),
        service_accounts: Sequence[Any] | Late = (),
        repository_name: Late | None = None,
        model_data: Sequence[Any] | Late = (),
        model_package_group_name: Late | None = None,
        sid: Late = "SmHostingAccess",
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.principals = principals
        self.service_accounts = service_accounts
        self.repository_name = repository_name
        self.model_data = model_data
        self.model_package_group_name = model_package_group_name
        self.sid = sid

    def execute(self, context: Context) -> str:
        """Read each policy, and write it if our statement is not there as it should be."""
        from botocore.exceptions import ClientError

        from airflow_sm_hosting.hooks.errors import error_code, error_message

        given = GrantAccessFields.of(self)
        changed: dict[str, bool] = {}
        resource = ""
        try:
            if given.repository_name:
                resource = f"ECR repository {given.repository_name}"
                changed[resource] = self._share_repository(given)
            if given.model_data:
                bucket, statements = self._reading(given)
                resource = f"bucket {bucket}"
                changed[resource] = self.model_data_hook.grant(bucket, statements, given.sid)
            if given.model_package_group_name:
                resource = f"model package group {given.model_package_group_name}"
                changed[resource] = self._share_group(given)
        except ClientError as error:
            if error_code(error) not in _REJECTED:
                raise
            raise InvalidSpecError(
                f"AWS rejects the policy of {resource}: {error_message(error)}. It rejects principals that do not exist, "
                f"and policies that are too long; principals: {', '.join(map(str, given.principals))}."
            ) from error
        for resource, has_changed in changed.items():
            self.log.info(
                "The policy of %s %s", resource, "has changed" if has_changed else "says so already"
            )
        self.push_details(
            context,
            {
                "changed": [one for one, has_changed in changed.items() if has_changed],
                "unchanged": [one for one, has_changed in changed.items() if not has_changed],
            },
        )
        return given.sid

    def _share_repository(self, given: GrantAccessFields) -> bool:
        from airflow_sm_hosting.policies import image_pull, with_sids

        hook = self.ecr_hook()
        policy = image_pull(
            principals=given.principals,
            service_accounts=given.service_accounts,
            partition=hook.conn_partition,
        )
        return hook.grant(str(given.repository_name), with_sids(policy, given.sid), given.sid)

    def _reading(self, given: GrantAccessFields) -> tuple[str, list[Mapping[str, Any]]]:
        """Return the bucket, and its statements."""
        from airflow_sm_hosting.policies import model_data_read, with_sids

        policy = model_data_read(
            principals=given.principals,
            model_data=given.model_data,
            partition=self.model_data_hook.conn_partition,
        )
        statements = with_sids(policy, given.sid)
        bucket = statements[0]["Resource"][0].rpartition(":::")[2].partition("/")[0]
        return str(bucket), list(statements)

    def _share_group(self, given: GrantAccessFields) -> bool:
        from airflow_sm_hosting.policies import package_group_use, with_sids

        hook, name = self.model_registry_hook, str(given.model_package_group_name)
        found = hook.describe_group(name)
        if found is None:
            raise NotFoundError(f"There is no model package group {name} in {hook.conn_region_name}.")
        policy = package_group_use(
            principals=given.principals,
            model_package_group=found["ModelPackageGroupArn"],
            partition=hook.conn_partition,
        )
        return hook.grant(name, with_sids(policy, given.sid), given.sid)
