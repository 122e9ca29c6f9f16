"""Downloads from a server that does everything wrong: named scenarios, each with what comes of it."""

import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hostile_server import HostileServer, first_byte_asked_for, head, honest, with_ranges
from minicnn.data import fetch_cifar10, http_request, load_cifar10, transfer
from minicnn.errors import DataError


@pytest.fixture
def content(fake) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in fake.images:
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            info.size = len(fake.binary(name))
            tar.addfile(info, io.BytesIO(fake.binary(name)))
    return buffer.getvalue()


@pytest.fixture
def server(content) -> Iterator[HostileServer]:
    server = HostileServer(content)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch, request):
    """Wait less, and least where waiting is what is tested: elsewhere a busy machine must not matter."""
    monkeypatch.setattr(transfer, "WAITS", (0.0, 0.01, 0.01, 0.01))
    waiting = "silent" in request.node.name or "trickles" in request.node.name
    monkeypatch.setattr(http_request, "TIMEOUT", 0.3 if waiting else 20.0)
    monkeypatch.setattr(http_request, "WINDOW", 0.6 if waiting else 30.0)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def files_in(cache: Path) -> set[str]:
    return {path.name for path in cache.rglob("*") if path.is_file()} - {"lock"}


def fetched(server: HostileServer, cache: Path, fake) -> None:
    """Fetch, and compare with what was offered."""
    images, labels = load_cifar10(fetch_cifar10(server.url, server.md5, cache=cache))
    np.testing.assert_array_equal(images, fake.expected("train")[0])
    np.testing.assert_array_equal(labels, fake.expected("train")[1])
    assert files_in(cache) == {"cifar-10-binary.tar.gz", *(f"{name}.bin" for name in fake.images)}


# ---- what a client can cope with: behaviours in the order of the connections --------------------------


def answers(*pieces: bytes | float):
    def answer(server: HostileServer, request: str) -> Iterator[bytes | float]:
        yield from pieces

    return answer


def without_ranges(stop_after: int | None = None, **headers: object):
    def answer(server: HostileServer, request: str) -> Iterator[bytes | float]:
        yield head(Content_Length=len(server.content), **headers)
        yield server.content[:stop_after]

    return answer


def chunked(server: HostileServer, request: str) -> Iterator[bytes | float]:
    yield head(Transfer_Encoding="chunked")
    for start in range(0, len(server.content), 10_000):
        piece = server.content[start : start + 10_000]
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def without_length(server: HostileServer, request: str) -> Iterator[bytes | float]:
    yield head()
    yield server.content


def range_of_something_else(server: HostileServer, request: str) -> Iterator[bytes | float]:
    assert first_byte_asked_for(request)
    yield head("206 Partial Content", Content_Range="bytes 5-9/10", Content_Length=5)
    yield b"12345"


def range_with_wrong_bytes(server: HostileServer, request: str) -> Iterator[bytes | float]:
    start, size = first_byte_asked_for(request), len(server.content)
    yield head("206 Partial Content", Content_Range=f"bytes {start}-{size - 1}/{size}")
    yield bytes(size - start)


def redirect(status: str, to: str = "/elsewhere"):
    return answers(head(status, Location=to, Content_Length=0))


BREAKS = with_ranges(stop_after=20_000)

COPED_WITH = {
    "honest": [honest],
    "chunked": [chunked],
    "no length": [without_length],
    "breaks off, goes on": [BREAKS, honest],
    "breaks off three times, goes on": [BREAKS, BREAKS, BREAKS, honest],
    "reset, goes on": [with_ranges(stop_after=20_000, reset=True), honest],
    "reset before the answer": [answers(HostileServer.RESET), honest],
    "hangs up before the answer": [answers(b""), honest],
    "silent, then honest": [answers(1.0), honest],
    "silent half-way, then honest": [answers(head(Content_Length=100), b"x", 1.0), honest],
    "trickles, then honest": [answers(head(Content_Length=100_000), *[b"x", 0.05] * 30), honest],
    "503, then honest": [answers(head("503 Service Unavailable", Content_Length=0)), honest],
    "500 twice": [*[answers(head("500 Internal Server Error", Content_Length=0))] * 2, honest],
    "429": [answers(head("429 Too Many Requests", Content_Length=0)), honest],
    "breaks off, cannot do ranges": [without_ranges(20_000), without_ranges()],
    "breaks off, ignores the range": [BREAKS, without_ranges()],
    "breaks off, the file has changed": [with_ranges('"0"', stop_after=20_000), honest],
    "breaks off, weak validator": [with_ranges('W/"1"', stop_after=20_000), honest],
    "breaks off, then 416": [BREAKS, answers(head("416 Range Not Satisfiable", Content_Length=0)), honest],
    "breaks off, sends another range": [BREAKS, range_of_something_else, honest],
    "breaks off, the rest is wrong": [BREAKS, range_with_wrong_bytes, honest],
    "another file first, then its rest": [
        answers(head(ETag='"1"', Content_Length=100), bytes(50)), honest, honest,
    ],
    "redirects": [redirect("302 Found"), redirect("307 Temporary Redirect"), redirect("308 Moved"), honest],
    "breaks off, redirects to the rest": [BREAKS, redirect("302 Found"), honest],
    "early hints": [answers(b"HTTP/1.1 100 Continue\r\n\r\n", head("503 x", Content_Length=0)), honest],
}  # fmt: skip


@pytest.mark.parametrize("scenario", COPED_WITH)
def test_what_is_coped_with(tmp_path, server, fake, scenario):
    server.behaviours = list(COPED_WITH[scenario])
    fetched(server, tmp_path, fake)
    assert len(server.requests) >= len(COPED_WITH[scenario])


@pytest.mark.parametrize("scenario", ["breaks off, goes on", "reset, goes on"])
def test_only_the_rest_is_asked_for(tmp_path, server, fake, scenario):
    server.behaviours = list(COPED_WITH[scenario])
    fetched(server, tmp_path, fake)
    assert [first_byte_asked_for(request) for request in server.requests] == [0, 20_000]
    assert 'If-Range: "1"' in server.requests[1]
    assert server.sent < len(server.content) + 1000


def test_the_date_of_the_file_is_a_validator_too(tmp_path, server, fake):
    date = "Sat, 01 Jan 2000 00:00:00 GMT"
    server.behaviours = [without_ranges(20_000, Last_Modified=date), without_ranges()]
    fetched(server, tmp_path, fake)
    assert f"If-Range: {date}" in server.requests[1]


def test_the_next_run_goes_on(tmp_path, server, fake):
    server.behaviours = [BREAKS, answers(HostileServer.RESET)]
    kept = r"tried 5 times; the 20,000 bytes so far are kept for the next run\)$"
    with pytest.raises(DataError, match=kept):
        fetch_cifar10(server.url, server.md5, cache=tmp_path)
    assert files_in(tmp_path) == {"cifar-10-binary.tar.gz.part", "cifar-10-binary.tar.gz.part.json"}
    server.requests.clear()
    server.behaviours = [honest]
    fetched(server, tmp_path, fake)
    assert [first_byte_asked_for(request) for request in server.requests] == [20_000]


@pytest.mark.parametrize("facts", ["", "{", "[]", '{"url": "elsewhere", "validator": "x"}', '{"url": 1}'])
def test_a_beginning_that_belongs_to_nothing_is_not_used(tmp_path, server, fake, facts):
    folder = tmp_path / f"cifar10-{server.md5[:12]}"
    folder.mkdir()
    (folder / "cifar-10-binary.tar.gz.part").write_bytes(b"x" * 100)
    (folder / "cifar-10-binary.tar.gz.part.json").write_text(facts)
    fetched(server, tmp_path, fake)
    assert [first_byte_asked_for(request) for request in server.requests] == [0]


def test_stopped_when_everything_had_come(tmp_path, server, fake):
    folder = tmp_path / f"cifar10-{server.md5[:12]}"
    folder.mkdir()
    (folder / "cifar-10-binary.tar.gz.part").write_bytes(server.content)
    fetched(server, tmp_path, fake)
    assert not server.requests


def test_a_kept_archive_that_was_damaged_is_fetched_again(tmp_path, server, fake):
    folder = tmp_path / f"cifar10-{server.md5[:12]}"
    folder.mkdir()
    (folder / "cifar-10-binary.tar.gz").write_bytes(server.content[:-1] + b"x")
    fetched(server, tmp_path, fake)
    assert len(server.requests) == 1


# ---- what it refuses ----------------------------------------------------------------------------------


def endless(server: HostileServer, request: str) -> Iterator[bytes | float]:
    yield head()
    while True:
        yield bytes(50_000)


def endless_headers(server: HostileServer, request: str) -> Iterator[bytes | float]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X-More: " + b"x" * 1000 + b"\r\n"


REFUSED = {
    "404": (answers(head("404 Not Found", Content_Length=0)), 1, "the server answers 404 Not Found$"),
    "403": (answers(head("403 Forbidden", Content_Length=0)), 1, "the server answers 403 Forbidden$"),
    "204": (answers(head("204 No Content")), 1, "the server answers 204$"),
    "206 unasked": (
        answers(head("206 Partial", Content_Range="bytes 0-9/10"), b"x" * 10), 1, "bytes from 0 on",
    ),
    "500": (answers(head("500 Oops", Content_Length=0)), 5, r"answers 500 Oops \(tried 5 times\)$"),
    "503": (answers(head("503 Busy", Content_Length=0)), 5, r"answers 503 Busy \(tried 5 times\)$"),
    "reset": (answers(HostileServer.RESET), 5, r"reset by peer.*--data-dir \(tried 5 times\)$"),
    "silent": (answers(5.0), 5, r"the server sent nothing for 0\.3 seconds.*\(tried 5 times\)$"),
    "trickles": (
        answers(head(Content_Length=100_000), *[b"x", 0.05] * 100),
        5, r"the server is too slow: \d+ bytes in 0\.6 seconds \(tried 5 times\)$",
    ),
    "trickles headers": (
        answers(b"HTTP/1.1 200 OK\r\n", *[b"X", 0.05] * 100), 5, r"no answer after 0\.6 seconds.* \(tried 5",
    ),
    "truncated": (without_ranges(30_000), 5, r"expected \d+ bytes, the connection ended after 30000 \(tried"),
    "longer than announced": (answers(head(Content_Length=10), b"x" * 99_999), 1, "expected a file with"),
    "absurd length": (answers(head(Content_Length=10**15), b"x"), 1, "announces 1,000,000,000,000,000$"),
    "length of nonsense": (answers(head(Content_Length="many"), b"x"), 1, "the server announces 'many'$"),
    "negative length": (answers(head(Content_Length="-5"), b"x"), 1, "the server announces '-5'$"),
    "endless": (endless, 1, r"expected at most 3,000,000 bytes, the server sends more$"),
    "endless headers": (endless_headers, 5, "got more than 100 headers"),
    "wrong content": (answers(head(Content_Length=9), b"not it at"), 1, "expected a file with the MD5"),
    "a page that says sorry": (answers(head(Content_Type="text/html"), b"<html>"), 1, "expected a file with"),
    "no HTTP": (answers(b"SSH-2.0-OpenSSH_9.2\r\n"), 5, "the connection broke"),
    "broken chunks": (answers(head(Transfer_Encoding="chunked"), b"zz\r\nxx"), 5, "the connection broke"),
    "redirects for ever": (redirect("302 Found"), 5, "the server answers 302 .*infinite loop"),
    "redirects to a file": (redirect("302 Found", "file:///etc/passwd"), 1, "'file:///etc/passwd' is not"),
    "redirects to ftp": (redirect("302 Found", "ftp://127.0.0.1/x"), 1, "ftp://127.0.0.1/x, which is not"),
    "redirects nowhere": (answers(head("302 Found", Content_Length=0)), 1, "the server answers 302 Found$"),
}  # fmt: skip


@pytest.mark.parametrize("scenario", REFUSED)
def test_what_is_refused(tmp_path, server, monkeypatch, scenario):
    monkeypatch.setattr(transfer, "LARGEST", 3_000_000)
    behaviour, requests, words = REFUSED[scenario]
    server.behaviours = [behaviour]
    start = time.monotonic()
    with pytest.raises(DataError, match=words) as caught:
        fetch_cifar10(server.url, server.md5, cache=tmp_path)
    assert time.monotonic() - start < 30  # a hang, not a measurement
    assert str(caught.value).startswith(server.url)
    assert "\n" not in str(caught.value)
    assert len(server.requests) == requests
    assert not files_in(tmp_path)  # nothing that could be resumed, so nothing is kept


def test_compressed_content_is_not_unpacked_on_the_way(tmp_path, server):
    """A gzip bomb in the transfer has the size it has on the wire."""
    import gzip

    bomb = gzip.compress(bytes(50_000_000))
    server.behaviours = [answers(head(Content_Encoding="gzip", Content_Length=len(bomb)), bomb)]
    got = hashlib.md5(bomb).hexdigest()
    with pytest.raises(DataError, match=f"expected a file with the MD5 checksum {server.md5}, got {got}"):
        fetch_cifar10(server.url, server.md5, cache=tmp_path)
    assert "accept-encoding: identity" in server.requests[0].lower()


def test_from_https_to_http_is_refused():
    from urllib.request import HTTPRedirectHandler, Request

    (redirects,) = (h for h in http_request._opener().handlers if isinstance(h, HTTPRedirectHandler))
    to = redirects.redirect_request(Request("https://a/x"), io.BytesIO(), 302, "", {}, "https://b/x")
    assert to.full_url == "https://b/x"
    to = redirects.redirect_request(Request("http://a/x"), io.BytesIO(), 302, "", {}, "https://b/x")
    assert to.full_url == "https://b/x"
    with pytest.raises(DataError, match="https://a/x: the server redirects to http://b/x, which is not"):
        redirects.redirect_request(Request("https://a/x"), io.BytesIO(), 302, "", {}, "http://b/x")


# ---- proxies, several processes, disks ----------------------------------------------------------------


def test_a_proxy_of_the_environment_is_asked(tmp_path, server, fake, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
    folder = fetch_cifar10("http://nowhere.invalid/cifar.tar.gz", server.md5, cache=tmp_path)
    np.testing.assert_array_equal(load_cifar10(folder)[0], fake.expected("train")[0])
    assert server.requests[0].startswith("GET http://nowhere.invalid/cifar.tar.gz HTTP/1.1\r\n")


def test_no_proxy_where_the_environment_says_so(tmp_path, server, fake, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    fetched(server, tmp_path, fake)
    assert server.requests[0].startswith("GET /cifar-10-binary.tar.gz HTTP/1.1\r\n")


def test_https_through_a_proxy_asks_for_a_tunnel(tmp_path, server, monkeypatch):
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.port}")
    server.behaviours = [answers(head("403 Forbidden", Content_Length=0))]
    with pytest.raises(DataError, match=r"cannot be reached \(Tunnel connection failed: 403 Forbidden\)"):
        fetch_cifar10("https://nowhere.invalid/cifar.tar.gz", server.md5, cache=tmp_path)
    assert server.requests[0].startswith("CONNECT nowhere.invalid:443 HTTP/1.")


PROGRAM = """
import sys
from minicnn.data import fetch_cifar10
print(fetch_cifar10(sys.argv[1], sys.argv[2], cache=sys.argv[3]))
"""


def start(server: HostileServer, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, server.url, server.md5, str(cache)], stdout=subprocess.PIPE, text=True
    )


def wait_for(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def slow_but_steady(server: HostileServer, request: str) -> Iterator[bytes | float]:
    yield head(ETag='"1"', Content_Length=len(server.content))
    for begin in range(0, len(server.content), 5000):
        yield server.content[begin : begin + 5000]
        yield 0.05


def test_two_processes_at_once(tmp_path, server):
    server.behaviours = [slow_but_steady]
    programs = [start(server, tmp_path) for _ in range(2)]
    outputs = [program.communicate(timeout=60)[0] for program in programs]
    assert [program.returncode for program in programs] == [0, 0]
    assert outputs[0] == outputs[1]
    assert len(server.requests) == 1
    assert len(load_cifar10(outputs[0].strip())[0]) == 20


def test_killed_while_it_receives(tmp_path, server, fake):
    server.behaviours = [
        answers(head(ETag='"1"', Content_Length=len(server.content)), server.content[:20_000], 60.0)
    ]
    program = start(server, tmp_path)
    wait_for(lambda: any(path.stat().st_size == 20_000 for path in tmp_path.rglob("*.part")))
    program.send_signal(signal.SIGKILL)
    program.communicate()
    assert files_in(tmp_path) == {"cifar-10-binary.tar.gz.part", "cifar-10-binary.tar.gz.part.json"}
    server.behaviours = [honest]
    fetched(server, tmp_path, fake)
    assert first_byte_asked_for(server.requests[1]) == 20_000


def test_what_a_killed_process_has_unpacked_is_removed(tmp_path, server, fake):
    left = tmp_path / f"cifar10-{server.md5[:12]}" / "unfinished-abc" / "cifar-10-batches-bin"
    left.mkdir(parents=True)
    (left / "data_batch_1.bin").write_bytes(b"half")
    fetched(server, tmp_path, fake)
    assert not list(tmp_path.rglob("unfinished-*"))


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
from minicnn.cli import main
flags = ["--data-url", sys.argv[1], "--data-md5", sys.argv[2], "--out", "run"]
sys.exit(main(["train", "--data", "cifar10", *flags]))
"""


@pytest.mark.parametrize("room", [20_000, 0])
def test_no_room(tmp_path, server, fake, room):
    """A file may not grow beyond the limit: that fails in write, as a full disk does."""
    command = [sys.executable, "-c", LIMITED, server.url, server.md5, "", str(room)]
    environment = {**os.environ, "MINICNN_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    folder = tmp_path / "cache" / f"cifar10-{server.md5[:12]}"
    assert done.stderr == f"minicnn: error: {folder}: cannot keep CIFAR-10 there (File too large)\n"
    assert "cifar-10-binary.tar.gz" not in files_in(tmp_path)
    fetched(server, tmp_path / "cache", fake)


def test_command_line(tmp_path, server, monkeypatch, capsys):
    from minicnn.cli import main

    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "cache"))
    server.behaviours = [BREAKS, answers(HostileServer.RESET)]
    flags = ["--data-url", server.url, "--data-md5", server.md5, "--out", str(tmp_path / "run")]
    assert main(["train", "--data", "cifar10", *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(r"minicnn: error: http://127.*the connection broke .*20,000 bytes so far are kept", line)
