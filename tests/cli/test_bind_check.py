"""Without authentication the API is for this machine alone."""

import pytest

from tork_celery.cli.bind_check import refuse_to_expose
from tork_celery.domain.errors import ConfigurationError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_an_address_of_this_machine_is_fine(host: str) -> None:
    refuse_to_expose(host, insecure=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "", "example.com", "localhost.example.com"])
def test_an_address_that_others_can_reach_is_refused(host: str) -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"there is no authentication.*set TORK_AUTH.*use 127\.0\.0\.1, or --insecure",
    ):
        refuse_to_expose(host, insecure=False)


def test_whoever_insists_is_let() -> None:
    refuse_to_expose("0.0.0.0", insecure=True)


def test_with_authentication_any_address_is_fine() -> None:
    refuse_to_expose("0.0.0.0", insecure=False, authenticated=True)
