"""The access key of a server, and the environment variable that hands it over."""

from __future__ import annotations

import secrets
import string

#: The environment variable; an argument would be shown to every user of the computer.
ACCESS_KEY_VARIABLE = "SM_HOSTING_LOCAL_ACCESS_KEY"


def new_access_key() -> str:
    """Return a random access key, in the shape of AWS's own."""
    alphabet = string.ascii_uppercase + string.digits
    return "LOCAL" + "".join(secrets.choice(alphabet) for _ in range(15))
