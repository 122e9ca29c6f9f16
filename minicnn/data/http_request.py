"""One request over HTTP to a server that nobody vouches for.

Whatever it does ends, and ends in a DataError: a socket's time-out ends silence, and a least speed ends the
rest. A server that sends a byte now and then never runs into a socket's time-out, neither in its headers nor
in what follows, so the request runs in a thread of its own and the caller's thread looks at the clock. The
proxy settings of the environment (`https_proxy`, `no_proxy`, ...) are followed.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPResponse
from typing import TYPE_CHECKING, NamedTuple

from minicnn.errors import DataError

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

TIMEOUT = 30.0  # seconds without a byte before we give up
WINDOW = 60.0  # seconds over which the speed is measured
LEAST_SPEED = 1024  # bytes per second
CHUNK = 2**18  # bytes
SCHEMES = ("http", "https")
PASSING_ERRORS = frozenset({408, 425, 429, 500, 502, 503, 504})
HINT = "without a network, unpack the archive yourself and say where with --data-dir"


class InterruptedDownload(DataError):
    """A download failed for a reason that may have passed at the next try."""


class Answer(NamedTuple):
    """What a server answers: status, headers, and the content piece by piece."""

    status: int
    headers: Message
    pieces: Iterator[bytes]


@contextmanager
def request(url: str, headers: Mapping[str, str]) -> Iterator[Answer]:
    """Ask for what is at an address.

    Parameters
    ----------
    url : str
        Of http or https. Redirects are followed, ten at most, but not from https to http.
    headers : dict
        Sent beside the usual ones.

    Yields
    ------
    Answer
        With a status from 200 to 299; its pieces may end early, and then raise nothing.

    Raises
    ------
    InterruptedDownload
        If the server cannot be reached, falls silent, is too slow, hangs up or is overloaded; while the
        pieces are read as well.
    DataError
        If the address is none, or the server answers that it has no such thing.
    """
    if not url.lower().startswith(tuple(f"{scheme}://" for scheme in SCHEMES)):
        raise DataError(f"{url}: expected an address such as https://example.org/cifar-10-binary.tar.gz")
    received: queue.Queue[HTTPResponse | bytes | Exception | None] = queue.Queue(maxsize=4)
    given_up = threading.Event()
    arguments = (url, dict(headers), received, given_up)
    threading.Thread(target=_work, args=arguments, daemon=True).start()
    try:
        try:
            response = received.get(timeout=WINDOW)
        except queue.Empty:
            raise InterruptedDownload(f"{url}: no answer after {WINDOW:g} seconds; {HINT}") from None
        if isinstance(response, Exception):
            raise _explain(url, response)
        assert isinstance(response, HTTPResponse)
        yield Answer(response.status, response.headers, _pieces(url, received))
    finally:
        given_up.set()


def _pieces(url: str, received: queue.Queue[HTTPResponse | bytes | Exception | None]) -> Iterator[bytes]:
    end_of_window, in_window = time.monotonic() + WINDOW, 0
    while True:
        try:
            piece = received.get(timeout=max(0.0, end_of_window - time.monotonic()))
        except queue.Empty:
            piece = b""
        if piece is None:
            return
        if isinstance(piece, Exception):
            raise _explain(url, piece)
        assert isinstance(piece, bytes)
        in_window += len(piece)
        if time.monotonic() >= end_of_window:
            if in_window < LEAST_SPEED * WINDOW:
                raise InterruptedDownload(
                    f"{url}: the server is too slow: {in_window:,} bytes in {WINDOW:g} seconds"
                )
            end_of_window, in_window = end_of_window + WINDOW, 0
        if piece:
            yield piece


def _work(
    url: str,
    headers: dict[str, str],
    received: queue.Queue[HTTPResponse | bytes | Exception | None],
    given_up: threading.Event,
) -> None:
    """Put the response, then its pieces, then None; or an exception in place of any of them."""
    from urllib.request import Request

    def put(item: HTTPResponse | bytes | Exception | None) -> None:
        while not given_up.is_set():
            try:
                return received.put(item, timeout=0.1)
            except queue.Full:
                pass

    try:
        with _opener().open(Request(url, headers=headers), timeout=TIMEOUT) as response:
            put(response)
            # read1 returns what has come; read would wait for a whole chunk from a server that trickles
            while not given_up.is_set() and (piece := response.read1(CHUNK)):
                put(piece)
        put(None)
    except Exception as error:  # noqa: BLE001 - whatever it is belongs to the thread that asked
        put(error)


def _opener() -> OpenerDirector:
    from urllib.error import HTTPError
    from urllib.parse import urlsplit
    from urllib.request import (
        HTTPDefaultErrorHandler,
        HTTPErrorProcessor,
        HTTPHandler,
        HTTPRedirectHandler,
        HTTPSHandler,
        OpenerDirector,
        ProxyHandler,
        Request,
        UnknownHandler,
    )

    class Redirects(HTTPRedirectHandler):
        def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
            scheme = urlsplit(newurl).scheme
            if scheme not in SCHEMES or (urlsplit(req.full_url).scheme, scheme) == ("https", "http"):
                fp.close()
                raise DataError(f"{req.full_url}: the server redirects to {newurl}, which is not followed")
            redirected: Request | None = super().redirect_request(req, fp, code, msg, headers, newurl)
            if redirected is None:
                raise HTTPError(req.full_url, code, msg, headers, fp)
            return redirected

    opener = OpenerDirector()  # build_opener would add handlers for files and FTP, which nobody asked for
    for handler in (
        ProxyHandler(), HTTPHandler(), HTTPSHandler(), Redirects(), HTTPDefaultErrorHandler(),
        HTTPErrorProcessor(), UnknownHandler(),
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener


def _explain(url: str, error: Exception) -> DataError:
    from urllib.error import HTTPError, URLError

    if isinstance(error, DataError):
        return error
    if isinstance(error, HTTPError):
        kind = InterruptedDownload if error.code in PASSING_ERRORS else DataError
        error.close()
        reason = f"the server answers {error.code} {error.reason}"
        return kind(" ".join(f"{url}: expected the CIFAR-10 archive, {reason}".split()))
    if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
        return InterruptedDownload(f"{url}: the server sent nothing for {TIMEOUT:g} seconds; {HINT}")
    if isinstance(error, URLError):
        return InterruptedDownload(f"{url}: cannot be reached ({error.reason}); {HINT}")
    if isinstance(error, ValueError):  # http.client.InvalidURL among them: blanks, a port that is no number
        return DataError(f"{url}: expected an address of http or https ({error})")
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return InterruptedDownload(f"{url}: the connection broke ({what}); {HINT}")
