"""A bucket that speaks S3 over HTTP, as far as an object store needs it: whole puts, uploads in parts, ranges, deletes.

Source: Amazon S3 API reference (PutObject, CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload, GetObject, DeleteObjects).
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ACCESS_KEY = "the-access-key"


class Bucket:
    """`objects` by key, `uploads` that are not complete. `failing`: everything is answered with 403, as when a permission is
    taken away."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.url = ""
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.unsigned = 0
        self.largest_part = 0
        self.failing = False

    def environment(self) -> dict[str, str]:
        """The variables by which clients find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def do_PUT(self) -> None:
        key, query = self._asked()
        body = self.rfile.read(int(self.headers["content-length"]))
        if self._refused():
            return
        if "partNumber" in query:
            self.bucket.uploads[query["uploadId"]][int(query["partNumber"])] = body
        else:
            self.bucket.objects[key] = body
        self.bucket.largest_part = max(self.bucket.largest_part, len(body))
        self._answer(200, headers={"etag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'})

    def do_POST(self) -> None:
        key, query = self._asked()
        asked = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
        if self._refused():
            return
        if "delete" in query:
            keys = re.findall("<Key>(.*?)</Key>", asked)
            for each in keys:
                self.bucket.objects.pop(each, None)
            deleted = "".join(f"<Deleted><Key>{each}</Key></Deleted>" for each in keys)
            body = f"<DeleteResult>{deleted}</DeleteResult>"
        elif "uploads" in query:
            id = f"upload-{len(self.bucket.uploads) + 1}"
            self.bucket.uploads[id] = {}
            body = f"<InitiateMultipartUploadResult><Bucket>{self.bucket.name}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        else:
            parts = self.bucket.uploads.pop(query["uploadId"])
            self.bucket.objects[key] = b"".join(parts[number] for number in sorted(parts))
            body = f'<CompleteMultipartUploadResult><Key>{key}</Key><ETag>"x"</ETag></CompleteMultipartUploadResult>'
        self._answer(200, body.encode())

    def do_GET(self) -> None:
        key, _ = self._asked()
        if self._refused():
            return
        data = self.bucket.objects.get(key)
        if data is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        headers = {"etag": '"x"', "last-modified": "Sat, 21 Nov 2026 18:00:00 GMT"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        if asked is None:
            self._answer(200, data, headers)
            return
        first, last = int(asked[1]), min(int(asked[2]), len(data) - 1)
        self._answer(
            206, data[first : last + 1], {**headers, "content-range": f"bytes {first}-{last}/{len(data)}"}
        )

    def do_DELETE(self) -> None:
        key, query = self._asked()
        if self._refused():
            return
        if "uploadId" in query:
            self.bucket.uploads.pop(query["uploadId"], None)
        else:
            self.bucket.objects.pop(key, None)
        self._answer(204)

    def _asked(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if f"Credential={ACCESS_KEY}/" not in self.headers.get("authorization", ""):
            self.bucket.unsigned += 1
        return parts.path.removeprefix(f"/{self.bucket.name}/"), query

    def _refused(self) -> bool:
        if self.bucket.failing:
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        return self.bucket.failing

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""


@contextmanager
def bucket_server(name: str = "bucket") -> Iterator[Bucket]:
    bucket = Bucket(name)
    handler = type("Handler", (_Handler,), {"bucket": bucket})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    bucket.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
