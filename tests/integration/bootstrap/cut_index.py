"""A package index on this machine that can be told to stall or to cut a download, and a package that it serves."""

import hashlib
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

STALL_SECONDS_MAX = 60.0  # longer than any test here; a test ends the stall itself


def make_wheel(name: str, version: str = "1.0") -> bytes:
    """Return a wheel whose module of the same name holds its version."""
    metadata = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{metadata}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{metadata}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{metadata}/RECORD"])
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in {**files, f"{metadata}/RECORD": record}.items():
            archive.writestr(path, text)
    return buffer.getvalue()


class CutIndex:
    """Serves every package name. `cuts_left` downloads end in the middle; while `stalls`, none goes on."""

    def __init__(self) -> None:
        self.cuts_left = 0
        self.downloads = 0
        self.is_asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.is_asked.set()
                index.may_answer.wait(STALL_SECONDS_MAX)
                if self.path.startswith("/simple/"):
                    index.send_page(self, self.path.split("/")[2].replace("-", "_"))
                else:
                    index.send_wheel(self, self.path.split("/")[2].split("-")[0])

            def log_message(self, *args: object) -> None:
                """Keep the test's output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/simple"

    def close(self) -> None:
        self.may_answer.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def send_page(self, request: BaseHTTPRequestHandler, name: str) -> None:
        digest = hashlib.sha256(make_wheel(name)).hexdigest()
        page = f'<a href="/files/{name}-1.0-py3-none-any.whl#sha256={digest}">{name}-1.0-py3-none-any.whl</a>'.encode()
        request.send_response(200)
        request.send_header("Content-Type", "text/html")
        request.send_header("Content-Length", str(len(page)))
        request.end_headers()
        request.wfile.write(page)

    def send_wheel(self, request: BaseHTTPRequestHandler, name: str) -> None:
        wheel = make_wheel(name)
        self.downloads += 1
        is_cut = self.cuts_left > 0
        self.cuts_left -= is_cut
        request.send_response(200)
        request.send_header("Content-Length", str(len(wheel)))
        request.end_headers()
        request.wfile.write(wheel[: len(wheel) // 2] if is_cut else wheel)
        request.close_connection = True
