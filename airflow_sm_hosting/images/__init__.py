"""Container images: the build context, the builders, and the manifest format that SageMaker accepts."""

from __future__ import annotations
