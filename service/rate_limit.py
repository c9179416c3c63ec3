"""How many images a caller may send: an even rate, with some at once.

It counts in this process alone, so two pods let twice as many through; what holds for all of them belongs to the
Ingress, which sees every request. The library `limits` would count in Redis, but by windows: a minute's worth may come
at once, and a batch that is larger than a window is refused for ever. Here it is paid for afterwards.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from fastapi import Request
from starlette.exceptions import HTTPException

__all__ = ["RateLimit", "limit_rate", "limit_rate_of_one"]

MOST_CALLERS = 10_000
"""Callers remembered at once; the one that was quiet the longest is forgotten first."""

BURST_SECONDS = 10.0
"""So many seconds' worth may come at once."""


class RateLimit:
    """The generic cell rate algorithm (ITU-T I.371): a moment a caller, up to which its images are paid for."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        """No limit where `per_minute` is 0."""
        self._interval = 60 / per_minute if per_minute else 0.0
        self._burst = max(BURST_SECONDS, self._interval)
        self._clock = clock
        self._paid_until: OrderedDict[str, float] = OrderedDict()

    def wait(self, caller: str, images: int = 1) -> float:
        """Count images; returns 0, or the seconds after which they may come again, and none is counted then.

        Who owes nothing may send any number at once, and pays for them afterwards.
        """
        now = self._clock()
        paid = max(now, self._paid_until.pop(caller, now))
        next_paid = paid + self._interval * images
        early = min(next_paid - now - self._burst, paid - now)
        self._paid_until[caller] = next_paid if early <= 0 else paid
        if len(self._paid_until) > MOST_CALLERS:
            self._paid_until.popitem(last=False)
        return max(0.0, early)


def limit_rate_of_one(request: Request) -> None:
    """Count an image of this caller; raises as `limit_rate` does."""
    limit_rate(request, 1)


def limit_rate(request: Request, images: int) -> None:
    """Count images of this caller.

    Raises:
        HTTPException: 429, it sends too many.
    """
    rate: RateLimit = request.app.state.service.rate_limit
    wait = rate.wait(request.client.host if request.client else "", images)
    if wait > 0:
        seconds = max(1, round(wait + 0.5))
        raise HTTPException(429, f"You send too many images. Go on in {seconds} s.", {"Retry-After": str(seconds)})
