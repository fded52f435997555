"""Which addresses webhooks may call."""

import re

import pytest

from tork_celery.domain.webhook_targets import WebhookTargets, receiver

PUBLIC_ONLY = WebhookTargets()


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1"],
)
def test_public_address_is_allowed(address: str) -> None:
    assert PUBLIC_ONLY.allow("example.com", address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "2001::1",
        "2002:7f00:1::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_address_that_is_not_public_is_refused(address: str) -> None:
    assert not PUBLIC_ONLY.allow("example.com", address)


@pytest.mark.parametrize(
    ("target", "host", "address"),
    [
        ("10.1.2.3", "h", "10.1.2.3"),
        ("10.1.2.3", "h", "::ffff:10.1.2.3"),
        ("10.0.0.0/8", "h", "10.1.2.3"),
        ("10.1.2.3/8", "h", "10.9.9.9"),
        ("fd00::/8", "h", "fd12::1"),
        ("::1", "h", "::1"),
        ("::/0", "h", "fe80::1%eth0"),
        ("hooks.internal", "Hooks.Internal.", "10.1.2.3"),
        ("Hooks.Internal.", "hooks.internal", "127.0.0.1"),
        ("my_host", "my_host", "127.0.0.1"),
    ],
)
def test_configured_target_is_allowed(target: str, host: str, address: str) -> None:
    assert WebhookTargets.parse([target]).allow(host, address)


@pytest.mark.parametrize(
    ("target", "host", "address"),
    [
        ("10.1.2.3", "h", "10.1.2.4"),
        ("0.0.0.0/0", "h", "::1"),
        ("hooks.internal", "evil-hooks.internal", "10.1.2.3"),
        ("hooks.internal", "hooks.internal.evil", "10.1.2.3"),
        ("internal", "hooks.internal", "10.1.2.3"),
    ],
)
def test_other_target_than_the_configured_one_is_refused(target: str, host: str, address: str) -> None:
    assert not WebhookTargets.parse([target]).allow(host, address)


@pytest.mark.parametrize(
    "target",
    ["", "*", "http://h", "h:80", "[::1]", "10.1.2", "10.0.0.0/33", "300.1.1.1", "a b", "-", "ü.example"],
)
def test_invalid_target_is_rejected(target: str) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"{target!r} is not a host name, an address or a network")
    ):
        WebhookTargets.parse(["ok.example", target])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/a?b", "h:80"),
        ("https://user:word@Host.:8443", "host:8443"),
        ("https://[::1]/", "::1:443"),
        ("http://[bad/", ""),
        ("http://h:99999/", ""),
        ("http://" + "a" * 1000, "a" * 256),
    ],
)
def test_receiver_is_the_host_and_the_port_of_a_url(url: str, expected: str) -> None:
    assert receiver(url) == expected
