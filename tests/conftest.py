"""Hypothesis profiles and fixtures that all tests share.

MINICNN_HYPOTHESIS=long draws many more examples, and new ones on every run; the default draws few, and
always the same, so that a failure has to do with the change at hand.
"""

import os

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("dev", max_examples=25, derandomize=True, deadline=None)
hypothesis.settings.register_profile("long", max_examples=1000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("MINICNN_HYPOTHESIS", "dev"))


@pytest.fixture
def rng() -> np.random.Generator:
    """Give every test a generator of its own, seeded alike."""
    return np.random.default_rng(20140917)
