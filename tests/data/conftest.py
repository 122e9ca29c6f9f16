"""What several tests of the data package need."""

import pytest

from fake_cifar10 import FakeCifar10


@pytest.fixture
def fake() -> FakeCifar10:
    return FakeCifar10(count=4)
