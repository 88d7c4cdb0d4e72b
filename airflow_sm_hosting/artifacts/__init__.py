"""Model data: packing a folder into the archive that SageMaker unpacks, and uploading it under its content's name."""

from __future__ import annotations
