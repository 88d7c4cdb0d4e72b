"""What the tests ask of botocore: the package runs with an older one, whose model lacks what AWS added since."""

from __future__ import annotations

import botocore
import pytest

_FOUND = tuple(map(int, botocore.__version__.split(".")[:2]))

#: For tests of members and patterns that AWS added lately, and of what newer clients send. With an older botocore, a task that uses such a
#: member is refused, with its name.
requires_botocore_1_44 = pytest.mark.skipif(
    _FOUND < (1, 44), reason=f"requires botocore 1.44, for what {botocore.__version__} lacks"
)
