"""All of localization is tested in float32."""

from __future__ import annotations

import pytest

from course_utils import runtime


@pytest.fixture(scope="module", autouse=True)
def keras():
    return runtime.load_keras()


@pytest.fixture(autouse=True)
def float32():
    runtime.start(0)
