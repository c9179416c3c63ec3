"""Requests to imagery servers: to allowed hosts only, few at once, repeated if a server is busy."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import requests
from loguru import logger
from pydantic import BaseModel, ConfigDict

from parking.errors import SurveyError
from parking.settings import Settings
from parking.version import code_version

__all__ = ["LONGEST_WAIT", "TRIES", "Access", "Answer", "HostError", "fetch", "locate", "shown"]

TRIES = 5
"""Attempts to reach a server that is busy, fails or does not answer."""
LONGEST_WAIT = 120.0
"""Longest wait in seconds that a server may ask for; beyond it the request fails, and the survey can be resumed."""
_MOST_REDIRECTS = 5
_LARGEST_MB = 64
_REDIRECT = {301, 302, 303, 307, 308}
_BUSY = {408, 425, 429, 500, 502, 503, 504}
_NOTHING = {204, 404, 410}
_PART = 206
_SECONDS_TO_CONNECT, _SECONDS_TO_READ = 10, 60
_PORTS = {"http": 80, "https": 443}
_OF_THE_LAYER = {"layers", "layer", "styles", "style", "tilematrixset", "time", "format", "crs", "srs", "version"} | {
    *("service", "request", "map"),
}
"""Parameters that messages may show; values of others may be keys."""


T = TypeVar("T")


class HostError(SurveyError):
    """A host that is not in PARKING_IMAGERY_HOSTS."""


class Access(BaseModel):
    """The servers that may be asked, and the number of requests at once."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    hosts: tuple[str, ...] = ()
    """Host names, with `:port` unless it is the default; `*.example.org` for all subdomains."""

    requests: int = 4
    """Requests at once, of one worker."""

    @classmethod
    def of(cls, settings: Settings) -> "Access":
        """The access that the settings allow."""
        named = (host.strip().lower() for host in settings.imagery_hosts.split(","))
        return cls(hosts=tuple(host for host in named if host), requests=settings.imagery_requests)

    def shared_by(self, workers: int) -> "Access":
        """The share of one worker: all together stay within the limit, and each has at least one request."""
        return self.model_copy(update={"requests": max(1, self.requests // max(1, workers))})

    def check(self, url: str) -> None:
        """Check that an address may be requested.

        Raises:
            HostError: its host is not allowed.
            SurveyError: it is no address of a web server, or carries a password.
        """
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise SurveyError(f"'{shown(url)}' is no address of a server: it begins with https:// or http://.")
        if parts.username or parts.password:
            raise SurveyError(
                f"The address at {parts.hostname} carries a name or a password, which would be written into files: "
                "put them into ~/.netrc."
            )
        try:
            port = parts.port or _PORTS[parts.scheme]
        except ValueError:
            raise SurveyError(f"'{shown(url)}' names no port that can be: it is a number below 65536.") from None
        named = parts.hostname.lower() if port == _PORTS[parts.scheme] else f"{parts.hostname.lower()}:{port}"
        if not any(_matches(named, host) for host in self.hosts):
            allowed = ", ".join(self.hosts) or "none"
            raise HostError(
                f"The host '{named}' may not be asked for imagery (allowed: {allowed}). If its terms let you, set "
                f"PARKING_IMAGERY_HOSTS={','.join((*self.hosts, named))}."
            )


def _matches(host: str, allowed: str) -> bool:
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed


def shown(url: str) -> str:
    """An address without values that may be keys, for files and messages."""
    parts = urlsplit(url)
    query = [(k, v if k.lower() in _OF_THE_LAYER else "***") for k, v in parse_qsl(parts.query, keep_blank_values=True)]
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, urlencode(query, safe="*:/,{}-;+"), ""))


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a server."""

    body: bytes
    kind: str
    """Content type, in lower case and without parameters."""


def fetch(url: str, access: Access, *, sleep: Callable[[float], None] = time.sleep) -> Answer | None:
    """Request an address, again if the server is busy; None if there is nothing (204, 404, 410).

    Args:
        url: on an allowed host. A redirect is followed if its host is allowed, too.
        access: the allowed hosts.
        sleep: waits between two attempts, in seconds: as long as the server asks for, otherwise twice as long each
            time.

    Raises:
        HostError: the host, or one that it sends us to, is not allowed.
        SurveyError: it refuses, or answers badly however often it is asked.
    """
    return _asked(url, access, {}, lambda response: _read(response, url), sleep)


def fetch_range(url: str, access: Access, first: int, last: int) -> tuple[bytes, int]:
    """A part of a file, from its first to its last byte, and the size of the whole; see `fetch`.

    Raises:
        HostError: as `fetch`.
        SurveyError: as `fetch`; or there is no such file, or the server does not give parts.
    """

    def read(response: requests.Response) -> tuple[bytes, int]:
        size = response.headers.get("Content-Range", "").rpartition("/")[2]
        if response.status_code != _PART or not size.isdigit():
            raise SurveyError(f"{shown(url)} cannot be read by parts: its server gives whole files. Copy it here.")
        return _read(response, url).body, int(size)

    found = _asked(url, access, {"Range": f"bytes={first}-{last}"}, read, time.sleep)
    if found is None:
        raise SurveyError(f"There is nothing at {shown(url)} any more. Put it back, and run the same command again.")
    return found


def _asked(
    url: str,
    access: Access,
    headers: dict[str, str],
    read: Callable[[requests.Response], T],
    sleep: Callable[[float], None],
) -> T | None:
    reason = ""
    for attempt in range(TRIES):
        try:
            response = _follow(url, access, headers)
        except requests.RequestException as error:
            reason, wait = _told(error), 2.0**attempt
        else:
            with response:
                if response.status_code in (200, _PART):
                    return read(response)
                if response.status_code in _NOTHING:
                    return None
                reason = f"it answers {response.status_code}"
                if response.status_code not in _BUSY:
                    raise SurveyError(f"{shown(url)} cannot be had: {reason}{_said(response)}. Correct the address.")
                wait = _retry_after(response) or 2.0**attempt
        if wait > LONGEST_WAIT:
            raise SurveyError(
                f"{shown(url)} cannot be had now: {reason} and asks to wait {wait:.0f} s. Run the same command then: "
                "what was read is kept."
            )
        if attempt < TRIES - 1:
            logger.debug("{}: {}; asked again in {} s", shown(url), reason, wait)
            sleep(wait)
    raise SurveyError(
        f"{shown(url)} cannot be had after {TRIES} tries: {reason}. Run the same command later: what was read is kept."
    )


def locate(url: str, access: Access) -> tuple[str, str]:
    """The final address of a file after redirects, and its ETag, or its date and size.

    Raises:
        HostError: the host, or one that it sends us to, is not allowed.
        SurveyError: there is no such file.
    """
    try:
        with _follow(url, access, {"Range": "bytes=0-0"}) as response:
            if response.status_code not in (200, 206):
                raise SurveyError(
                    f"{shown(url)} cannot be had: it answers {response.status_code}. Correct the address."
                )
            said = response.headers
            size = said.get("Content-Range") or said.get("Content-Length") or ""
            return str(response.url), said.get("ETag") or f"{said.get('Last-Modified', '')} {size}"
    except requests.RequestException as error:
        raise SurveyError(f"{shown(url)} cannot be had: {_told(error)}. Run the same command later.") from None


def _follow(url: str, access: Access, headers: dict[str, str] | None = None) -> requests.Response:
    """The answer after redirects, each of which must lead to an allowed host."""
    at = url
    for _ in range(_MOST_REDIRECTS + 1):
        try:
            access.check(at)
        except HostError as error:
            raise error if at == url else HostError(f"{shown(url)} sends us to another server. {error}") from None
        response = _session().get(
            at,
            headers=headers,
            allow_redirects=False,
            stream=True,
            timeout=(_SECONDS_TO_CONNECT, _SECONDS_TO_READ),
        )
        if response.status_code not in _REDIRECT:
            return response
        response.close()
        at = urljoin(at, response.headers.get("Location", ""))
    raise SurveyError(f"{shown(url)} sends us from address to address without end. Give the last one.")


def _read(response: requests.Response, url: str) -> Answer:
    parts, size = [], 0
    for part in response.iter_content(1 << 16):
        parts.append(part)
        size += len(part)
        if size > _LARGEST_MB << 20:
            raise SurveyError(f"{shown(url)} answers more than {_LARGEST_MB} MB, which is no tile. Check the address.")
    return Answer(b"".join(parts), response.headers.get("Content-Type", "").partition(";")[0].strip().lower())


def _retry_after(response: requests.Response) -> float | None:
    """Seconds to wait by `Retry-After`: a number, or a date relative to the server's own clock."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    try:
        then, now = (parsedate_to_datetime(text) for text in (value, response.headers.get("Date", "")))
    except ValueError:
        return None
    return max(0.0, (then - now).total_seconds())


def _said(response: requests.Response) -> str:
    """The first line of an error's body, if it is text."""
    if not response.headers.get("Content-Type", "").startswith("text/plain"):
        return ""
    text = next(response.iter_content(200), b"").decode(errors="replace").strip()
    return f" ({text.splitlines()[0]})" if text else ""


def _told(error: requests.RequestException) -> str:
    """Why a request failed, without the address, which may contain a key."""
    if isinstance(error, requests.Timeout):
        return "it does not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.ConnectionError):
        return "it cannot be reached"
    return f"the connection broke ({type(error).__name__})"


@lru_cache
def _session() -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = f"parking/{code_version()}"
    return session
