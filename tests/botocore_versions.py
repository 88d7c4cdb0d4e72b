"""What the tests ask of botocore: the package runs with an older one, whose model lacks what AWS added since."""

from __future__ import annotations

import botocore
import pytest

_FOUND = tuple(map(int, botocore.__version__.split(".")[:2]))

#: For tests of members and patterns that AWS added lately. With an older botocore, a task that uses them is refused, with their names.
requires_botocore_1_44 = pytest.mark.skipif(
    _FOUND < (1, 44), reason=f"requires botocore 1.44, for members that {botocore.__version__} lacks"
)
