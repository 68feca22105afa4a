"""How often wrong pass phrases may be tried: after a few, each address waits, longer each time."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from tidal_core.access.sessions import Clock
from tidal_core.errors import TidalError
from tidal_core.text import seconds_in_words

FREE = 5  # wrong pass phrases in a row that cost nothing but their own time
FIRST_WAIT, LONGEST_WAIT = 30.0, 900.0  # seconds; doubled at each further wrong one
FORGOTTEN_AFTER = 3600.0  # seconds without a wrong one
ADDRESSES_AT_MOST = 10_000  # that are remembered: whoever has more of them could fill the memory

WRONG = "Too many wrong pass phrases came from your address."
BUSY = "Many people are signing in at this moment."


class TooManyAttempts(TidalError):
    """A pass phrase is not looked at, as too many wrong ones came from the same address, or too many at once."""

    def __init__(self, seconds: float, why: str = WRONG) -> None:
        super().__init__(f"{why} Try again in {seconds_in_words(max(seconds, 1))}.")
        self.seconds = seconds


@dataclass
class _Tries:
    wrong: int
    last: float  # when, by the clock


class Attempts:
    """Counts wrong pass phrases by address, in memory. ``note_wrong`` is for one thread at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_address: OrderedDict[str, _Tries] = OrderedDict()

    def check(self, address: str) -> None:
        """Raises TooManyAttempts while an address has to wait."""
        tries = self._of(address)
        if tries is None or tries.wrong < FREE:
            return
        wait = min(FIRST_WAIT * 2.0 ** min(tries.wrong - FREE, 20), LONGEST_WAIT)
        left = tries.last + wait - self._clock()
        if left > 0:
            raise TooManyAttempts(left)

    def note_wrong(self, address: str) -> None:
        """One more wrong pass phrase. A right one takes none back: who knows the annotators' would guess on."""
        place, now = network_of(address), self._clock()
        tries = self._of(address)
        self._by_address[place] = _Tries(1 if tries is None else tries.wrong + 1, now)
        self._by_address.move_to_end(place)
        while len(self._by_address) > ADDRESSES_AT_MOST:
            self._by_address.popitem(last=False)

    def _of(self, address: str) -> _Tries | None:
        tries = self._by_address.get(network_of(address))
        return None if tries is None or self._clock() - tries.last > FORGOTTEN_AFTER else tries


def network_of(address: str) -> str:
    """What is counted as one address: an IPv4 address, or the 64 bits of IPv6 that one household has."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if known.version == 6 and known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(known if known.version == 4 else ipaddress.ip_network((known, 64), strict=False))
