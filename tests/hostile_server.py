"""A server on this machine that does what one asks of it, byte by byte."""

import hashlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator


class HostileServer:
    """Hands every connection to the next of its behaviours; the last one stays.

    A behaviour is a function of the server and the request's text that returns the pieces to send. Between
    two pieces may stand a pause in seconds; RESET at the end breaks the connection off instead of closing it.
    """

    RESET = b"RESET"

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.behaviours: list[Callable[..., Iterator[bytes | float]]] = [honest]
        self.requests: list[str] = []
        self.sent = 0
        self.closing = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/cifar-10-binary.tar.gz"
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    @property
    def md5(self) -> str:
        return hashlib.md5(self.content).hexdigest()

    def _accept(self) -> None:
        while True:
            connection, _ = self.socket.accept()
            if self.closing.is_set():
                connection.close()
                return
            behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
            thread = threading.Thread(target=self._answer, args=(connection, behaviour))
            self.threads.append(thread)
            thread.start()

    def _answer(self, connection: socket.socket, behaviour: Callable[..., Iterator[bytes | float]]) -> None:
        with connection:
            text = b""
            while b"\r\n\r\n" not in text and (more := connection.recv(4096)):
                text += more
            self.requests.append(text.decode())
            try:
                for piece in behaviour(self, text.decode()):
                    if isinstance(piece, float):
                        self.closing.wait(piece)
                    elif piece == self.RESET:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    else:
                        connection.sendall(piece)
                        self.sent += len(piece)
                    if self.closing.is_set():
                        return
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(10)
                while connection.recv(4096):  # else the client may see a reset before it has read everything
                    pass
            except OSError:
                pass  # the client has hung up

    def close(self) -> None:
        self.closing.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self.threads:
            thread.join()
        self.socket.close()


def head(status: str = "200 OK", **headers: object) -> bytes:
    """Status line and headers; underscores in names stand for hyphens."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "Connection: close", "", ""]).encode()


def first_byte_asked_for(request: str) -> int:
    match = re.search(r"^Range: bytes=(\d+)-\r$", request, re.MULTILINE)
    return int(match[1]) if match else 0


def honest(server: HostileServer, request: str) -> Iterator[bytes | float]:
    yield from with_ranges()(server, request)


def with_ranges(tag: str = '"1"', stop_after: int | None = None, reset: bool = False, **headers: object):
    """Do as HTTP says; `stop_after` so many bytes of content in all the connection breaks."""

    def answer(server: HostileServer, request: str) -> Iterator[bytes | float]:
        size = len(server.content)
        start = first_byte_asked_for(request)
        validator = re.search(r"^If-Range: (.*)\r$", request, re.MULTILINE | re.IGNORECASE)
        if start and validator and validator[1] == tag:
            part = f"bytes {start}-{size - 1}/{size}"
            yield head("206 Partial Content", ETag=tag, Content_Length=size - start, Content_Range=part)
        else:
            start = 0
            yield head(ETag=tag, Content_Length=size, **headers)
        end = size if stop_after is None else min(size, start + stop_after)
        yield server.content[start:end]
        if reset:
            yield 0.05
            yield server.RESET

    return answer
