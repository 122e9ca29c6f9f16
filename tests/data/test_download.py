import gzip
import hashlib
import io
import os
import re
import socket
import tarfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from minicnn.data import (
    CIFAR10_MD5,
    CIFAR10_URL,
    cache_folder,
    fetch_cifar10,
    http_request,
    load_cifar10,
    transfer,
)
from minicnn.errors import DataError


class Server:
    """A server on this machine that answers with `content` whatever it is asked for."""

    def __init__(self) -> None:
        self.content = b""
        self.status = 200
        self.claimed_length: int | None = None
        self.silent = threading.Event()  # set: never answers
        self.closing = threading.Event()
        self.requests = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                if server.silent.is_set():
                    server.closing.wait(10)
                    return
                self.send_response(server.status)
                length = len(server.content) if server.claimed_length is None else server.claimed_length
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(server.content)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/cifar-10-binary.tar.gz"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def offer(self, content: bytes) -> str:
        """Answer with `content` from now on; returns its checksum."""
        self.content = content
        return hashlib.md5(content).hexdigest()

    def close(self) -> None:
        self.closing.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(transfer, "WAITS", (0.0, 0.0))


def files_in(cache: Path) -> set[str]:
    return {path.name for path in cache.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def _nothing_is_left_half_way(tmp_path):
    yield
    assert not list(tmp_path.rglob("*unfinished*"))


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def official(fake):
    """An archive like the official one, but small."""
    members = {f"cifar-10-batches-bin/{name}.bin": fake.binary(name) for name in fake.images}
    return {**members, "cifar-10-batches-bin/readme.html": b"<html>"}


def test_official_address_and_checksum():
    assert CIFAR10_URL == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    assert CIFAR10_MD5 == "c32a1d4ab5d03f1284b67883e8d87530"


def test_downloads_once_and_keeps_it(tmp_path, server, fake, official, capsys):
    md5 = server.offer(archive(official))
    cache = tmp_path / "not" / "there yet"
    folder = fetch_cifar10(server.url, md5, cache=cache)
    assert cache in folder.parents
    images, labels = load_cifar10(folder)
    np.testing.assert_array_equal(images, fake.expected("train")[0])
    np.testing.assert_array_equal(labels, fake.expected("train")[1])
    server.close()
    assert fetch_cifar10(server.url, md5, cache=cache) == folder
    assert server.requests == 1
    assert capsys.readouterr().err == ""  # no bar where there is no terminal


def test_shows_a_bar_on_a_terminal(tmp_path, server, official, monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    fetch_cifar10(server.url, server.offer(archive(official)), cache=tmp_path)
    assert re.search(r"CIFAR-10: 100%.*B/s", terminal.getvalue())


def test_a_checksum_that_is_none(tmp_path, server):
    with pytest.raises(DataError, match=r"md5: expected 32 hexadecimal digits, got '\.\./x'"):
        fetch_cifar10(server.url, "../x", cache=tmp_path)


def test_keeps_the_archive_it_has_checked(tmp_path, server, official):
    md5 = server.offer(archive(official))
    folder = fetch_cifar10(server.url, md5, cache=tmp_path)
    (kept,) = tmp_path.rglob("*.tar.gz")
    assert kept.read_bytes() == server.content
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert fetch_cifar10(server.url, md5, cache=tmp_path) == folder  # unpacked again, not downloaded again
    assert len(list(folder.iterdir())) == 6
    assert server.requests == 1


def test_archives_of_different_checksums_lie_side_by_side(tmp_path, server, official):
    one = fetch_cifar10(server.url, server.offer(archive(official)), cache=tmp_path)
    other = fetch_cifar10(server.url, server.offer(archive({**official, "more": b"x"})), cache=tmp_path)
    assert one != other
    assert server.requests == 2


def test_an_interrupted_download_leaves_nothing_behind_and_can_be_repeated(tmp_path, server, official):
    md5 = server.offer(archive(official))
    server.claimed_length = len(server.content) + 1000
    with pytest.raises(
        DataError, match=rf"expected {len(server.content) + 1000} bytes, .* ended after {len(server.content)}"
    ):
        fetch_cifar10(server.url, md5, cache=tmp_path)
    assert files_in(tmp_path) == {"lock"}
    server.claimed_length = None
    assert load_cifar10(fetch_cifar10(server.url, md5, cache=tmp_path))


def test_wrong_checksum(tmp_path, server, official):
    right = server.offer(archive(official))
    wrong = "0" * 32
    with pytest.raises(DataError, match=rf"expected a file with the MD5 checksum {wrong}, got {right}"):
        fetch_cifar10(server.url, wrong, cache=tmp_path)
    assert files_in(tmp_path) == {"lock"}


def test_not_found(tmp_path, server):
    server.status = 404
    with pytest.raises(
        DataError, match=r"gz: expected the CIFAR-10 archive, the server answers 404 Not Found$"
    ):
        fetch_cifar10(server.url, "0" * 32, cache=tmp_path)


def test_nobody_answers(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/cifar"
        with pytest.raises(DataError, match=r"cannot be reached \(.*refused.*--data-dir"):
            fetch_cifar10(url, cache=tmp_path)


def test_a_silent_server(tmp_path, server, monkeypatch):
    monkeypatch.setattr(http_request, "TIMEOUT", 0.1)
    server.silent.set()
    start = time.monotonic()
    with pytest.raises(DataError, match=r"the server sent nothing for 0\.1 seconds"):
        fetch_cifar10(server.url, cache=tmp_path)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("url", ["no address", "ftp//x", "ftp://x/y", "file:///etc/passwd"])
def test_an_address_that_is_none(tmp_path, url):
    with pytest.raises(DataError, match=rf"{url}: expected an address such as https://"):
        fetch_cifar10(url, cache=tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"no archive at all", b"", archive({"a": bytes(100_000)})[:60]],
    ids=["text", "nothing", "half an archive"],  # an archive has the time in it; the name of a test must not
)
def test_something_else_than_an_archive(tmp_path, server, content):
    md5 = server.offer(content)
    with pytest.raises(DataError, match="expected a tar archive, got damaged data"):
        fetch_cifar10(server.url, md5, cache=tmp_path)
    assert not list(tmp_path.rglob("*batches*"))


def test_another_archive(tmp_path, server, official):
    del official["cifar-10-batches-bin/data_batch_2.bin"]
    md5 = server.offer(archive(official))
    with pytest.raises(
        DataError, match=r"expected the binary version of CIFAR-10, without data_batch_2\.bin$"
    ):
        fetch_cifar10(server.url, md5, cache=tmp_path)
    assert not list(tmp_path.rglob("*batches*"))


def test_an_archive_that_tries_to_escape(tmp_path, server, fake):
    evil = {f"../../../{name}.bin": fake.binary(name) for name in fake.images}
    md5 = server.offer(archive({**evil, "../../evil.bin": b"x", "/minicnn-evil.bin": b"x"}))
    folder = fetch_cifar10(server.url, md5, cache=tmp_path / "cache")
    files = list(tmp_path.rglob("*.bin"))
    assert {path.parent for path in files} == {folder}
    assert len(files) == 6
    assert not Path("/minicnn-evil.bin").exists()


def tar_header(name: str, size: int, kind: bytes = b"0", magic: bytes = b"ustar\x0000") -> bytes:
    """A member's header by hand, for what the library refuses to write."""
    number = (b"\x80" if size >= 0 else b"\xff") + (size % 256**11).to_bytes(
        11, "big"
    )  # as GNU tar writes sizes that have no room in octal digits
    fields = name.encode().ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + number + b"00000000000\0"
    block = bytearray((fields + b" " * 8 + kind + bytes(100) + magic).ljust(512, b"\0"))
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def chain_of_names(count: int) -> bytes:
    return b"".join(tar_header("././@LongLink", 1, b"L") + b"x".ljust(512, b"\0") for _ in range(count))


BATCH = "data_batch_1.bin"
HOSTILE_ARCHIVES = {
    "a huge member": (tar_header(BATCH, 10**12), r"batch_1\.bin has 1,000,000,000,000 bytes, expected at"),
    "a huge member of no interest": (tar_header("x", 10**12), "it unpacks to more than 268,435,456 bytes"),
    "a huge name": (tar_header("././@LongLink", 10**11, b"L"), "one of its headers does not end"),
    "huge pax headers": (tar_header("pax", 10**11, b"x"), "one of its headers does not end"),
    "a bomb in pax headers": (tar_header("pax", 10**8, b"x") + bytes(10**8), "its headers does not end"),
    "names of names": (chain_of_names(2000), "RecursionError|does not end"),
    "a billion members": (b"".join(tar_header(str(k), 0) for k in range(2000)), "more than 1,000 members"),
    "larger than the archive": (tar_header(BATCH, 3073) + bytes(512), "tar archive, got damaged data"),
    "a negative size": (tar_header(BATCH, -512), r"data_batch_1\.bin has -512 bytes"),
    "a device": (tar_header(BATCH, 0, b"3"), "without data_batch_1"),
    "a pipe": (tar_header(BATCH, 0, b"6"), "without data_batch_1"),
    "a folder": (tar_header(BATCH, 0, b"5"), "without data_batch_1"),
    "zeros for ever": (bytes(3 * 10**8), "without|damaged data|more than 268,435,456 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_ARCHIVES)
def test_hostile_archives(tmp_path, server, name):
    content, words = HOSTILE_ARCHIVES[name]
    md5 = server.offer(gzip.compress(content, 1))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=words):
            fetch_cifar10(server.url, md5, cache=tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 2**26 + len(server.content)
    finally:
        tracemalloc.stop()
    assert files_in(tmp_path) == {"lock", "cifar-10-binary.tar.gz"}


def test_a_sparse_member(tmp_path, server):
    """A terabyte of nothing in a kilobyte: refused for its size."""
    info = tarfile.TarInfo(f"cifar-10-batches-bin/{BATCH}")
    info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(10**12),
                        "GNU.sparse.map": f"0,1,{10**12 - 1},1", "GNU.sparse.name": BATCH}  # fmt: skip
    info.size = 2
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(b"xy"))
    with pytest.raises(DataError, match=r"batch_1\.bin has 1,000,000,000,000 bytes, expected at most 30"):
        fetch_cifar10(server.url, server.offer(buffer.getvalue()), cache=tmp_path)


def test_links_in_an_archive_are_not_followed(tmp_path, server, official):
    del official["cifar-10-batches-bin/test_batch.bin"]
    buffer = io.BytesIO(archive(official))
    with tarfile.open(fileobj=buffer) as old, tarfile.open(fileobj=(new := io.BytesIO()), mode="w") as tar:
        for member in old:
            tar.addfile(member, old.extractfile(member))
        link = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    md5 = server.offer(new.getvalue())
    with pytest.raises(DataError, match=r"without test_batch\.bin"):
        fetch_cifar10(server.url, md5, cache=tmp_path)


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        DataError, match=r"file.*: cannot keep CIFAR-10 there \(Not a directory|File exists\)"
    ):
        fetch_cifar10(cache=tmp_path / "file")


def test_cache_folder_follows_the_platform(monkeypatch, tmp_path):
    monkeypatch.delenv("MINICNN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_folder() == tmp_path / ".cache" / "minicnn"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "minicnn"
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


def test_bytes_are_on_the_disk_before_their_final_name(monkeypatch, tmp_path, server, official):
    """Otherwise a power cut could leave whole names of empty files."""
    done = []

    def note(name: str, subject: Callable[..., object]) -> None:
        operation = getattr(os, name)

        def noted(*arguments: object) -> None:
            done.append((name, subject(*arguments)))
            operation(*arguments)

        monkeypatch.setattr(os, name, noted)

    note("fsync", lambda descriptor: os.fstat(descriptor).st_ino)
    note("rename", lambda source, target: Path(target).name)
    note("replace", lambda source, target: Path(target).name)
    batches = fetch_cifar10(server.url, server.offer(archive(official)), cache=tmp_path)
    whole = batches.parent / "cifar-10-binary.tar.gz"
    archive_named, batches_named = done.index(("replace", whole.name)), done.index(("rename", batches.name))
    assert ("fsync", whole.stat().st_ino) in done[:archive_named]
    assert all(("fsync", path.stat().st_ino) in done[:batches_named] for path in batches.iterdir())


def test_no_home_folder(monkeypatch):
    """As in a container that runs as a user whom it does not know."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MINICNN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(DataError, match="there is no home folder to keep downloads in: set MINICNN_CACHE"):
        fetch_cifar10()


def test_default_cache_is_the_cache_folder(monkeypatch, tmp_path, server, official):
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "mine"))
    assert tmp_path / "mine" in fetch_cifar10(server.url, server.offer(archive(official))).parents
