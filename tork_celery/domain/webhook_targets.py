"""Which addresses webhooks may call, and which receiver a URL names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self
from urllib.parse import urlsplit

_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?\.?", re.ASCII)
_NUMBERS = re.compile(r"[0-9./]+", re.ASCII)  # a mistyped address, not a name
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_WITH_IPV4_AT_THE_END = (
    IPv6Network("::ffff:0:0/96"),  # IPv4-mapped
    IPv6Network("64:ff9b::/96"),  # NAT64
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_RECEIVER_CHARS = 256


@dataclass(frozen=True, slots=True)
class WebhookTargets:
    """Targets that webhooks may call in addition to public addresses: host names and networks."""

    names: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, targets: Iterable[str]) -> Self:
        """Read host names, addresses and CIDR networks. Raises ValueError."""
        names, networks = set(), []
        for target in targets:
            if (network := _network(target)) is not None:
                networks.append(network)
            elif _HOST_NAME.fullmatch(target) and not _NUMBERS.fullmatch(target):
                names.add(_normal_name(target))
            else:
                raise ValueError(
                    f"{target!r} is not a host name, an address or a network; write targets like "
                    "hooks.internal,10.1.2.3,192.168.0.0/16"
                )
        return cls(frozenset(names), tuple(networks))

    def allow(self, host: str, address: str) -> bool:
        """Return whether a webhook may connect to `address`, to which the host of its URL resolves."""
        if _normal_name(host) in self.names:
            return True
        ip = ip_address(address.partition("%")[0])  # without the interface of a link-local address
        target = _embedded_ipv4(ip) or ip
        if any(each in network for network in self.networks for each in (ip, target)):
            return True
        return _is_public(target)


def receiver(url: str) -> str:
    """Return the host and port that a URL names, and an empty string for an invalid URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return ""
    return f"{_normal_name(parts.hostname or '')}:{port}"[:_MAX_RECEIVER_CHARS]


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _normal_name(host: str) -> str:
    return host.lower().removesuffix(".")


def _embedded_ipv4(ip: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address to which packets for an IPv6 address are delivered."""
    if isinstance(ip, IPv4Address):
        return None
    if any(ip in network for network in _WITH_IPV4_AT_THE_END):
        return IPv4Address(ip.packed[-4:])
    return ip.sixtofour


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv6Address) and ip not in _GLOBAL_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast
