"""A supervisor for each context, and a look at what every attack leaves."""

import pytest

from . import hosts


@pytest.fixture(scope="session", params=list(hosts.CONTEXTS))
def host(request):
    """A supervisor in one of the contexts."""
    reason = hosts.missing(request.param)
    if reason:
        pytest.skip(reason)
    made = hosts.Host(request.param)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def nothing_is_left(request):
    """After each attack: no process, no file, no descriptor of the supervisor or the zygote."""
    yield
    if "host" in request.fixturenames:
        assert request.getfixturevalue("host").complaints() == []
