"""Values in moto's Secrets Manager and Parameter Store."""

from __future__ import annotations

from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID


def secret_string(region: str, secret_id: str) -> str | None:
    """Return the current value of a secret by name or ARN, or None where it does not exist or is binary."""
    from moto.secretsmanager.exceptions import SecretsManagerClientError
    from moto.secretsmanager.models import secretsmanager_backends

    try:
        found = secretsmanager_backends[ACCOUNT_ID][region].get_secret_value(secret_id, "", "AWSCURRENT")
    except SecretsManagerClientError:
        return None
    return found.get("SecretString")


def parameter_value(region: str, name: str) -> str | None:
    """Return the value of a parameter by name or ARN, decrypted, or None where it does not exist."""
    # Half of a server's start, if it was imported there: it brings EC2, with all of its instance types and Regions.
    from moto.ssm.models import ssm_backends

    found = ssm_backends[ACCOUNT_ID][region].get_parameter(name)
    return str(found.response_object(decrypt=True, region=region)["Value"]) if found else None
