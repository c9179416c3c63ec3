"""How this process hands memory back to the system while it trains."""

import ctypes
from functools import cache

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


@cache
def keep_freed_memory() -> None:
    """Let the C library reuse large blocks instead of returning each to the system; once a process.

    Every step of a training on a CPU frees and asks again for hundreds of megabytes, and the system clears each page
    anew: a quarter of a step's time was spent there. Without glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _NEVER)
