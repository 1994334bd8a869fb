"""A server of this machine that answers like Zenodo, and fails in the ways that servers and networks fail."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import quote, unquote

RECORD = '6969604'


class Fault(NamedTuple):
    """What goes wrong with one request."""

    status: int | None = None  # answered instead of the file
    drop_after: int | None = None  # bytes of the body, then the connection is closed
    flip: int | None = None  # number of a byte of the file that arrives changed
    headers: tuple[tuple[str, str], ...] = ()  # added, or put in the place of the right ones
    surplus: bytes = b''  # comes after the file, which is sent without its length


class Request(NamedTuple):
    """A request for a file that arrived."""

    name: str
    range: str | None
    if_range: str | None


class ZenodoServer(ThreadingHTTPServer):
    """Serves one record.

    Attributes:
        files: name -> content.
        faults: name (or ``record``) -> what goes wrong with the next requests, one after the other.
        ranges: whether it knows ``Range``.
        etags: whether it names versions of files.
        pause: seconds between blocks of 64 KiB.
        requests: what was asked for.
        document: JSON of the record, when it is not made from ``files``.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.ranges = True
        self.etags = True
        self.pause = 0.0
        self.requests: list[Request] = []
        self.document: object = None

    @property
    def base(self) -> str:
        """Address of the interface."""
        return f'http://127.0.0.1:{self.server_port}/api/records'

    def record(self) -> object:
        """As Zenodo's interface describes a record."""
        if self.document is not None:
            return self.document
        return {'id': int(RECORD), 'files': [self.entry(name) for name in self.files]}

    def entry(self, name: str) -> dict[str, object]:
        """As Zenodo's interface describes a file."""
        content = self.files[name]
        return {'id': 'f00d', 'key': name, 'size': len(content), 'checksum': f'md5:{hashlib.md5(content).hexdigest()}',
                'links': {'self': f'{self.base}/{RECORD}/files/{quote(name)}/content'}}

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that were killed are no news."""


class _Handler(BaseHTTPRequestHandler):
    server: ZenodoServer

    def do_GET(self) -> None:
        prefix = f'/api/records/{RECORD}'
        if self.path == prefix:
            fault = self._next_fault('record')
            self._send(fault.status or 200, json.dumps(self.server.record()).encode(), {}, fault)
        elif self.path.startswith(f'{prefix}/files/') and self.path.endswith('/content'):
            name = unquote(self.path.split('/')[-2])
            self.server.requests.append(Request(name, self.headers['Range'], self.headers['If-Range']))
            self._send_file(self.server.files[name], self._next_fault(name))
        else:
            self._send(404, b'{"status": 404}', {}, Fault())

    def _send_file(self, content: bytes, fault: Fault) -> None:
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        headers = {'ETag': etag} if self.server.etags else {}
        if fault.flip is not None:
            content = content[:fault.flip] + bytes([content[fault.flip] ^ 1]) + content[fault.flip + 1:]
        start = 0
        if self.headers['Range'] and self.server.ranges and self.headers['If-Range'] in (None, etag):
            start = int(self.headers['Range'].removeprefix('bytes=').removesuffix('-'))
            headers['Content-Range'] = f'bytes {start}-{len(content) - 1}/{len(content)}'
        self._send(fault.status or (206 if start else 200), content[start:], headers, fault)

    def _send(self, status: int, body: bytes, headers: dict[str, str], fault: Fault) -> None:
        length = {} if fault.surplus else {'Content-Length': str(len(body))}
        body += fault.surplus
        self.send_response(status)
        for name, value in {**length, **headers, **dict(fault.headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        for start in range(0, len(body[:fault.drop_after]), 1 << 16):
            self.wfile.write(body[:fault.drop_after][start:start + (1 << 16)])
            time.sleep(self.server.pause)

    def _next_fault(self, name: str) -> Fault:
        faults = self.server.faults[name]
        return faults.pop(0) if faults else Fault()

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@contextmanager
def running_server() -> Iterator[ZenodoServer]:
    """A server that answers until the block ends."""
    server = ZenodoServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
