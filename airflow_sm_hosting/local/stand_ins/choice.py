"""What runs in place of an image of another registry: the user's choice first, then a stand-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from airflow_sm_hosting.local.stand_ins.families import Family, aws_image, local_name


@dataclass(frozen=True)
class StandIns:
    """What the local AWS runs in place of images that it does not have.

    :param enabled: Whether AWS's own images are stood in for.
    :param images: Images of the user's, by name or pattern of what they stand in for: ``*``, ``?`` and ``[…]``, of the whole name or of
        ``repository:tag``. The longest pattern that matches counts.
    :param startup_seconds: How long a stand-in takes to start, as if it loaded a model.
    """

    enabled: bool = True
    images: Mapping[str, str] = field(default_factory=dict)
    startup_seconds: float = 0.0

    def chosen(self, image: str) -> str | None:
        """Return the image of the user's that runs in place of an image, or None."""
        names = (image, local_name(image))
        matching = [one for one in self.images if any(fnmatchcase(name, one) for name in names)]
        return self.images[max(matching, key=len)] if matching else None

    def family(self, image: str) -> Family | None:
        """Return the family whose stand-in runs in place of an image, or None."""
        found = aws_image(image) if self.enabled else None
        return found.family if found and not found.wrong else None
