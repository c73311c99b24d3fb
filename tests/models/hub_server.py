"""A hub in a thread: the few addresses huggingface_hub asks for, served from a folder a model."""

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REFUSALS = {"RepoNotFound": 404, "GatedRepo": 403, "RevisionNotFound": 404}


class Hub(ThreadingHTTPServer):
    """`models` maps a hub id to a folder or to a refusal's name; `asked` lists files whose content was asked for."""

    daemon_threads = True

    def __init__(self, models):
        super().__init__(("127.0.0.1", 0), Handler)
        self.models, self.asked = models, []
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Model information, file tree, and files with ranges."""

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body):
        path = urlparse(self.path).path.strip("/").split("/")
        api = path[:2] == ["api", "models"]
        owner, name, verb, revision, *rest = [*(path[2:] if api else path), *[""] * 4][:5]
        rest = [*path[4:]] if not api else rest
        model = self.server.models.get(f"{owner}/{name}", "RepoNotFound")
        if isinstance(model, str):
            self.refuse(model)
        elif revision not in ("main", "v1", COMMIT):
            self.refuse("RevisionNotFound")
        elif api and verb == "tree":
            files = [self.entry(file) for file in sorted(model.iterdir())]
            self.send(json.dumps(files).encode(), with_body)
        elif api:
            self.send(
                json.dumps({"_id": "1", "id": f"{owner}/{name}", "sha": COMMIT, "siblings": []}).encode(), with_body
            )
        else:
            self.file(model / "/".join(rest), with_body)

    def entry(self, file):
        return {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": self.etag(file)}

    def etag(self, file):
        return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()

    def file(self, file, with_body):
        if not file.is_file():
            self.refuse("EntryNotFound", 404)
            return
        body = file.read_bytes()
        wanted = self.headers.get("Range")
        if wanted:
            first, last = (int(at) if at else None for at in wanted.removeprefix("bytes=").split("-"))
            body = body[first : None if last is None else last + 1]
        elif with_body:
            self.server.asked.append(file.name)
        headers = {"ETag": f'"{self.etag(file)}"', "X-Repo-Commit": COMMIT}
        self.send(body, with_body, status=206 if wanted else 200, headers=headers)

    def refuse(self, code, status=None):
        self.send(b"", with_body=False, status=status or REFUSALS[code], headers={"X-Error-Code": code})

    def send(self, body, with_body, status=200, headers=()):
        self.send_response(status)
        for key, value in dict(headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if with_body:
            self.wfile.write(body)
