"""Resources by case-insensitive name."""

from __future__ import annotations

from collections import UserDict
from typing import TypeVar

Resource = TypeVar("Resource")


class ByName(UserDict[str, Resource]):
    """Resources by their names in lower case.

    ARNs have the name in lower case, so two names that differ in case only would be one resource. That models, endpoint configs and
    inference components are found in any case is assumed from that; the name that is shown is the one that they were created with.
    """

    def __getitem__(self, name: str) -> Resource:
        return super().__getitem__(name.lower())

    def __setitem__(self, name: str, resource: Resource) -> None:
        super().__setitem__(name.lower(), resource)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self.data
