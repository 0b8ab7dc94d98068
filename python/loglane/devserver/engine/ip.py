"""`ip("...")` in line and label filters: one address, a range or a prefix.

An address is looked for where the text begins like one, as far as its characters go
(loki: pkg/logql/log/ip.go); what Go's netip does not read as an address is none.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import TypeAlias

from loglane.devserver.logql.stage_nodes import IpLineFilter

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_V4 = re.compile(rb"[0-9.]*")
_V6 = re.compile(rb"[0-9a-fA-F:.]*")
_V4_HINT = re.compile(rb"[0-9](?=\..{2}|.\..|..\.)", re.DOTALL)
_V6_HINT = re.compile(
    rb"(?=.{5})(?:::[0-9a-fA-F]|[0-9a-fA-F]{1,4}:)",
    re.DOTALL,
)


class BadAddressError(ValueError):
    """The text is no address, range or prefix, in Loki's words."""


def compile_ip_filter(stage: IpLineFilter) -> Callable[[str], bool]:
    """Build the test of a line filter; raises BadAddressError."""
    if stage.op not in {"|=", "!="}:
        raise BadAddressError("ip: invalid operation")
    test = compile_ip(stage.pattern)
    return test if stage.op == "|=" else lambda line: not test(line)


def compile_ip(pattern: str) -> Callable[[str], bool]:
    """Build the test whether a text has a matching address; raises BadAddressError."""
    contains = _matcher(pattern)
    return lambda text: _any_address(text.encode(), contains)


def _matcher(pattern: str) -> Callable[[Address], bool]:
    wanted = _parse(pattern)
    if wanted is not None:
        return lambda address: address == wanted
    network = _prefix(pattern)
    if network is not None:
        return lambda address: address.version == network.version and address in network
    first_text, dash, last_text = pattern.partition("-")
    first, last = _parse(first_text), _parse(last_text)
    if (
        dash
        and first is not None
        and last is not None
        and first.version == last.version
        and int(first) <= int(last)
    ):
        version, low, high = first.version, int(first), int(last)
        return lambda address: address.version == version and low <= int(address) <= high
    raise BadAddressError(f'ip: invalid pattern: "{pattern}"')


def _prefix(pattern: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    text, slash, bits = pattern.partition("/")
    address = _parse(text)
    if not slash or address is None or not re.fullmatch(r"0|[1-9][0-9]{0,2}", bits):
        return None
    if int(bits) > address.max_prefixlen:
        return None
    return ipaddress.ip_network(f"{address}/{bits}", strict=False)


def _parse(text: str) -> Address | None:
    # A zone (`fe80::1%eth0`) is an address for Go, but the line is never read that far.
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def _any_address(text: bytes, contains: Callable[[Address], bool]) -> bool:
    position = 0
    while position < len(text):
        if _V4_HINT.match(text, position):
            span = _V4.match(text, position)
        elif _V6_HINT.match(text, position):
            span = _V6.match(text, position)
        else:
            position += 1
            continue
        found = span.group() if span else b""
        address = _parse(found.decode("ascii"))
        if address is not None and contains(address):
            return True
        # The character after the address is never the start of one.
        position += len(found) + 1
    return False
