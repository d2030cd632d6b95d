"""A download page: the files of a dictionary, over HTTP on this computer, some of them spoilt on the way."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ImageServer:
    """`files` by name. `cut` and `spoil` are names whose transfer breaks off, or whose bytes change on the way."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.spoil: set[str] = set()
        self.asked: list[str] = []


@contextmanager
def serving() -> Iterator[ImageServer]:
    """A server for as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            page.asked.append(name)
            if name not in page.files:
                self.send_error(404)
                return
            data = page.files[name]
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if name in page.spoil:
                data = data[:-1] + bytes([data[-1] ^ 1])
            self.wfile.write(data[: len(data) // 2] if name in page.cut else data)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    page = ImageServer(f"http://127.0.0.1:{server.server_port}/resources/firmware/")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield page
    finally:
        server.shutdown()
        server.server_close()
