"""A local stand-in for Google Drive and for any web server that hands out files, good and bad.

`FileServer` listens on a free port of 127.0.0.1. Plain requests for `/<name>` get `files[name]`. It is an
HTTPS proxy as well: with `environment()` in the process's variables, everything that is asked of
`https://drive.google.com` arrives here, through TLS with a certificate that this server signed itself. So
gdown and requests run unchanged, with the addresses that they have built in, and no byte leaves the machine.
"""

import datetime
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

DRIVE_HOSTS = ("drive.google.com", "drive.usercontent.google.com", "docs.google.com", "accounts.google.com")
BLOCK = 16 * 1024

# As Drive sent them in 2024 and 2025, shortened; gdown reads them line by line.
WARNING = (
    '<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body><div class="uc-main">'
    '<p class="uc-warning-caption">Google Drive can\'t scan this file for viruses.</p>'
    '<p class="uc-warning-subcaption"><span class="uc-name-size"><a href="/open?id={id}">LF-Amazon-1.3M.raw.zip</a> '
    '(849M)</span> is too large for Google to scan for viruses.</p><form id="download-form" '
    'action="https://drive.usercontent.google.com/download" method="get"><input type="submit" value="Download anyway"/>'
    '<input type="hidden" name="id" value="{id}"><input type="hidden" name="export" value="download">'
    '<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="5be5"></form></div></body>'
    "</html>"
)
QUOTA = (
    "<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>\n"
    '<p class="uc-error-caption">Sorry, you can\'t view or download this file at this time.</p>\n'
    '<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently. Please try accessing '
    "the file again later. If the file you are trying to access is particularly large or is shared with many people, "
    "it may take up to 24 hours to be able to view or download the file.</p>\n</body></html>"
)
SIGN_IN = "<!DOCTYPE html><html><head><title>Google Drive: Sign-in</title></head><body><form></form></body></html>"
MISSING = "<!DOCTYPE html><html><head><title>Error 404 (Not Found)!!1</title></head><body>404.</body></html>"


@dataclass
class Served:
    """A file, and how it is handed out. Change the attributes between requests as a test needs."""

    body: bytes
    etag: str = ""
    last_modified: str = ""
    announce_length: bool = True
    ranges: bool = True
    cut: int | None = None  # bytes of the body after which the connection closes
    hold: int | None = None  # bytes of the body after which nothing comes until `release` is set
    status: int = 200  # of every answer; 200 sends the file
    allow_head: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    drive: str = "large"  # small, large, quota_200, quota_403, private, missing: what Drive makes of it
    key: str = ""  # the resourcekey without which Drive asks to sign in


@dataclass(frozen=True)
class Request:
    method: str
    host: str
    path: str
    headers: dict[str, str]


class FileServer(ThreadingHTTPServer):
    """See the module."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, Served] = {}
        self.requests: list[Request] = []
        self.release = threading.Event()
        self.holding = threading.Event()
        self.authority = directory / "authority.pem"
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(_certificate(directory, self.authority))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def environment(self) -> dict[str, str]:
        """Variables under which a process's requests to Drive arrive here."""
        proxy = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), self.url)
        free = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
        return proxy | free | {"REQUESTS_CA_BUNDLE": str(self.authority)}

    def sent(self, method: str = "GET", path: str = "") -> list[Request]:
        """The requests so far with this method, whose path begins so."""
        return [request for request in self.requests if request.method == method and request.path.startswith(path)]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away, or was killed, is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        host = self.path.partition(":")[0]
        if host not in DRIVE_HOSTS:
            self.send_error(502)
            return
        self.send_response_only(200)
        self.end_headers()
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb", self.rbufsize)
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.connection.close()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        host = self.headers.get("Host", "").partition(":")[0]
        self.server.requests.append(Request(self.command, host, self.path, dict(self.headers)))
        parts = urlsplit(self.path)
        if host in DRIVE_HOSTS:
            self._drive(host, parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()})
        elif (served := self.server.files.get(parts.path.lstrip("/"))) is not None:
            self._send(served)
        else:
            self._page(404, MISSING)

    def _drive(self, host: str, path: str, query: dict[str, str]) -> None:
        in_path = (
            re.match(r"/spreadsheets/d/(?:e/)?([-\w]+)/(?:export|pub)$", path) if host == "docs.google.com" else None
        )
        served = self.server.files.get(in_path[1] if in_path else query.get("id", ""))
        if host == "accounts.google.com":
            self._page(200, SIGN_IN)
        elif served is None or served.drive == "missing":
            self._page(404, MISSING)
        elif served.drive == "private" or served.key != query.get("resourcekey", ""):
            self._redirect("https://accounts.google.com/ServiceLogin?continue=x")
        elif served.drive.startswith("quota"):
            self._page(int(served.drive[-3:]), QUOTA)
        elif in_path:
            name = 'attachment; filename="Products-Sheet1.csv"'
            self._send(served, {"Content-Disposition": name, "Content-Type": "text/csv"})
        elif path == "/download":
            if query.get("confirm") != "t":
                self._page(200, WARNING.format(id=query["id"]))
            else:
                self._send(served, {"Content-Disposition": 'attachment; filename="LF-Amazon-1.3M.raw.zip"'})
        elif served.drive == "small":
            self._send(served, {"Content-Disposition": 'attachment; filename="small.zip"'})
        elif query.get("confirm") == "t":
            self._redirect(f"https://drive.usercontent.google.com/download?{urlencode(query)}")
        else:
            self._page(200, WARNING.format(id=query["id"]))

    def _redirect(self, where: str) -> None:
        self.send_response(303)
        self.send_header("Location", where)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _page(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _send(self, served: Served, more: dict[str, str] | None = None) -> None:
        if served.status != 200 or (self.command == "HEAD" and not served.allow_head):
            self._page(served.status if served.status != 200 else 405, "<html>refused</html>")
            return
        start, size = 0, len(served.body)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        if wanted and served.ranges and (condition is None or condition in (served.etag, served.last_modified)):
            start = int(wanted[1])
        if start >= size > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        names = {"ETag": served.etag, "Last-Modified": served.last_modified, **served.headers, **(more or {})}
        for name, value in names.items():
            if value:
                self.send_header(name, value)
        if "Content-Type" not in names:
            self.send_header("Content-Type", "application/octet-stream")
        if served.announce_length:
            self.send_header("Content-Length", str(size - start))
        else:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD":
            return
        for position in range(start, size, BLOCK):
            if served.cut is not None and position >= served.cut:
                self.close_connection = True
                return
            if served.hold is not None and position >= served.hold:
                self.server.holding.set()
                self.server.release.wait(120)
            self.wfile.write(served.body[position : position + BLOCK])


@contextmanager
def serve(directory: Path) -> Iterator[FileServer]:
    """Run a `FileServer` for the length of a `with` block; its certificate goes into `directory`."""
    server = FileServer(directory)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _certificate(directory: Path, authority: Path) -> Path:
    """Write a certificate authority to `authority`, and return a key with a certificate for Drive's names."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)

    def build(
        name: str, issuer: x509.Name | None, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType
    ) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = build(
        "Vitrine tests",
        None,
        root_key,
        x509.BasicConstraints(ca=True, path_length=None),
        x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()),
    ).sign(root_key, hashes.SHA256())
    leaf = build(
        "drive.google.com",
        root.subject,
        key,
        x509.SubjectAlternativeName([x509.DNSName(host) for host in DRIVE_HOSTS]),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
    ).sign(root_key, hashes.SHA256())
    authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    chain = directory / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(private + leaf.public_bytes(serialization.Encoding.PEM))
    return chain
