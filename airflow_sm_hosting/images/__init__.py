"""Container images: what goes into a build, who builds it, and the form in which SageMaker takes it."""

from __future__ import annotations
