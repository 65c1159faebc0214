"""Rates: how many requests a key and an address may send."""

import asyncio
import functools
import math
import time
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple, NoReturn

from throttled import MemoryStore, Throttled, per_duration

from ingest.access import ApiKey, Scope
from ingest.floods import EVERYONE, Floods, Source
from ingest.problems import Name, Refusal, problem
from ops import formats
from ops.settings import Settings, variable

#: Keys, or addresses, that are counted at once; who came longest ago is forgotten first.
MOST = 10_000
#: Seconds for which a body of many commands is held up.
PATIENCE_S = 30.0
#: Lines of a body that are asked for together, at least.
FEWEST_LINES = 100
#: How many times as many requests may be denied to all addresses together as to one.
ALL = 10
#: Bits of an IPv6 address that its network leaves to whoever has it: to one household, mostly.
OWN_BITS = 64


class Peer(NamedTuple):
    """Where requests come from: an address, or for IPv6 its /64; and whether it is this machine."""

    name: str
    is_local: bool


@functools.lru_cache(MOST)
def peer_of(address: str) -> Peer:
    """Find whose an address is, also one of IPv4 that is written as one of IPv6."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        if not ip.ipv4_mapped:
            network = IPv6Address(int(ip) >> OWN_BITS << OWN_BITS)
            return Peer(f"{network}/{OWN_BITS}", ip.is_loopback)
        ip = ip.ipv4_mapped
    return Peer(str(ip), ip.is_loopback)


class Rate:
    """
    How many of something each one may have: so many at once, and new ones as time goes by.

    Args:
        field: Of the setting that says how many.
        times: How many times as many it is.
    """

    def __init__(self, settings: Settings, field: str, *, times: int = 1) -> None:
        self.setting = variable(field)
        self.limit: str = getattr(settings, field)
        self.most = 0
        self.per_s = 0.0
        self._throttled: Throttled | None = None
        if found := formats.per_s(self.limit):
            self.most = found[0] * times
            self.per_s = self.most / found[1]
            self.limit = f"{self.most}/{self.limit.partition('/')[2]}"
            self._throttled = Throttled(
                using="gcra",
                quota=per_duration(timedelta(seconds=found[1]), limit=self.most),
                store=MemoryStore(options={"MAX_SIZE": MOST}),
            )

    def take(self, who: str, cost: int = 1) -> float:
        """Count something; return 0, or where it is too much the seconds until it is not."""
        if self._throttled is None:
            return 0.0
        result = self._throttled.limit(who, cost)
        return result.state.retry_after if result.limited else 0.0


class Rates:
    """
    The rates of one gateway.

    What is denied is counted apart: strangers cannot use up what others behind their address may
    send. So are the lines in a key's bodies: a long one keeps no result out. An `admin` key has no
    rate.
    """

    def __init__(self, settings: Settings) -> None:
        self._of_key = Rate(settings, "key_rate")
        self._of_lines = Rate(settings, "key_rate")
        self._of_address = Rate(settings, "address_rate")
        self._of_denied = Rate(settings, "denied_rate")
        self._of_all_denied = Rate(settings, "denied_rate", times=ALL)
        self._floods = Floods()
        self.tell_ended = self._floods.tell_ended

    def check(self, key: ApiKey, address: str | None) -> None:
        """
        Count a request that shows a key.

        Raises:
            Refusal: It is one too many, of the key or of its address.
        """
        if key.scope is Scope.ADMIN:
            return
        peer = peer_of(address) if address else None
        if wait_s := self._of_key.take(key.id):
            self._refuse(self._of_key, _with(key), wait_s, peer=peer and peer.name, key=key.id)
        if peer and not peer.is_local and (wait_s := self._of_address.take(peer.name)):
            self._refuse(self._of_address, f"came from {peer.name}", wait_s, peer=peer.name)

    def has_room(self, key: ApiKey, address: str | None) -> bool:
        """Count a request as `check` does, if it is none too many; else leave it to that."""
        if key.scope is Scope.ADMIN:
            return True
        peer = peer_of(address) if address else None
        if peer and not peer.is_local and self._of_address.take(peer.name):
            return False
        return not self._of_key.take(key.id)

    def deny(self, address: str | None) -> None:
        """
        Count a request that is denied.

        Raises:
            Refusal: It is one too many, of its address or of all of them.
        """
        name = peer_of(address).name if address else EVERYONE
        if wait_s := self._of_denied.take(name):
            self._refuse(self._of_denied, f"from {name} were denied", wait_s, peer=name)
        if wait_s := self._of_all_denied.take(EVERYONE):
            self._refuse(self._of_all_denied, "were denied", wait_s, peer=EVERYONE)

    def lines_at_once(self, key: ApiKey) -> int:
        """
        How many lines are to be asked for together; 0: as many as there are.

        So many that `hold` need not wait for them for longer than it may, except where that would
        be few: then the sender is told after a while to come again.
        """
        rate = self._of_lines
        if key.scope is Scope.ADMIN or not rate.most:
            return 0
        return min(rate.most, max(FEWEST_LINES, int(rate.per_s * PATIENCE_S)))

    async def hold(self, key: ApiKey, lines: int) -> None:
        """
        Wait until a key may send so many lines.

        Raises:
            Refusal: That takes too long.
        """
        until = time.monotonic() + PATIENCE_S
        while lines > 0 and key.scope is not Scope.ADMIN:
            cost = min(lines, self._of_lines.most or lines)
            if not (wait_s := self._of_lines.take(key.id, cost)):
                lines -= cost
            elif time.monotonic() + wait_s <= until:
                await asyncio.sleep(wait_s)
            else:
                self._refuse(self._of_lines, _with(key), wait_s, peer=None, key=key.id)

    def _refuse(
        self, rate: Rate, said: str, wait_s: float, *, peer: str | None, key: str | None = None
    ) -> NoReturn:
        """
        Say no to something that is too much.

        Raises:
            Refusal: Always.
        """
        self._floods.note(Source(setting=rate.setting, limit=rate.limit, peer=peer, key=key))
        detail = f"more than {rate.limit} {said}; nothing was taken, send it again"
        raise Refusal(problem(Name.TOO_MANY, detail), retry_after_s=max(1, math.ceil(wait_s)))


def _with(key: ApiKey) -> str:
    return f"came with the key {key.id}"
