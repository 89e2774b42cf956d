"""Amazon's own SDK, versions 2 and 3, each in an environment of its own: see tools/environment."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

collect_ignore = []
if find_spec("moto") is None:
    collect_ignore = ["test_version_2.py", "test_version_3.py", "test_objects.py"]
elif find_spec("sagemaker") is None or find_spec("sagemaker.train") is None:
    collect_ignore = ["test_version_3.py"]
else:
    collect_ignore = ["test_version_2.py", "test_objects.py"]

if find_spec("moto") is not None:
    from tests.service.sagemaker.sdk.scripts import Clouds

    @pytest.fixture(scope="module")
    def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
        made = Clouds(tmp_path_factory.mktemp("clouds"))
        yield made
        made.close()
