"""A server that speaks the Hugging Face hub's API for what snn_gym asks of it."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WRITER, READER = "hf_writer", "hf_reader"
LARGE = (".safetensors", ".gif", ".mp4")


def git_blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Hub:
    """Repositories by name: each a list of commits, each of these the files by path."""

    def __init__(self):
        self.repositories = {}
        self.private = set()
        self.objects = {}
        self.swapped = {}
        """Bytes that are served in place of a file's, by path."""
        self.hostile = {}
        """Functions that answer, given the handler, in place of a whole request, by path."""
        self.requests = []
        self.endpoint = self.cdn = ""

    def commit(self, name, changes):
        """Add a commit with changed files, None for those to delete; return its hash."""
        commits = self.repositories.setdefault(name, [("0" * 40, {})])
        files = {path: x for path, x in {**commits[-1][1], **changes}.items() if x is not None}
        content = json.dumps({path: sha256(x) for path, x in files.items()}) + str(len(commits))
        commits.append((hashlib.sha1(content.encode()).hexdigest(), files))
        return commits[-1][0]

    def find(self, name, revision):
        """Return (commit, files) of a revision, or None."""
        commits = self.repositories[name]
        if revision in (None, "main"):
            return commits[-1]
        return next((x for x in commits if x[0] == revision), None)

    def files(self, name):
        return self.repositories[name][-1][1]


class Handler(BaseHTTPRequestHandler):
    hub = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, content=b"", **headers):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    @property
    def token(self):
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def do_POST(self):
        body, path = self.body(), self.path.split("?")[0]
        self.hub.requests.append(("POST", path))
        if self.token != WRITER:
            status = 403 if self.token else 401
            return self.answer(status, {"error": "You don't have the rights"})
        if path == "/api/repos/create":
            return self.create(json.loads(body))
        if path == "/api/validate-yaml":
            return self.validate(json.loads(body)["content"])
        if match := re.fullmatch(r"/api/models/(.+)/preupload/main", path):
            return self.preupload(match[1], json.loads(body))
        if path.endswith(".git/info/lfs/objects/batch"):
            return self.batch(json.loads(body))
        match = re.fullmatch(r"/api/models/(.+)/commit/main", path)
        return self.commit(match[1], [json.loads(line) for line in body.splitlines()])

    def create(self, wanted):
        name = f"{wanted['organization']}/{wanted['name']}"
        there = name in self.hub.repositories
        if wanted.get("visibility") == "private" or wanted.get("private"):
            self.hub.private.add(name)
        self.hub.repositories.setdefault(name, [("0" * 40, {".gitattributes": b""})])
        self.answer(409 if there else 200, {"url": f"{self.hub.endpoint}/{name}"})

    def validate(self, content):
        import yaml  # of huggingface_hub, without which the tests that need this are skipped

        _, metadata, text = content.split("---\n", 2)
        good = isinstance(yaml.safe_load(metadata), dict) and text.strip()
        self.answer(200 if good else 400, {"errors": [], "warnings": []})

    def preupload(self, name, wanted):
        before = self.hub.files(name)
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
                "oid": git_blob(before[file["path"]]) if file["path"] in before else None,
            }
            for file in wanted["files"]
        ]
        self.answer(200, {"files": files})

    def batch(self, wanted):
        objects = [
            {
                **entry,
                "authenticated": True,
                "actions": {"upload": {"href": f"{self.hub.endpoint}/lfs/{entry['oid']}"}},
            }
            for entry in wanted["objects"]
        ]
        self.answer(200, {"transfer": "basic", "objects": objects})

    def do_PUT(self):
        data, digest = self.body(), self.path.removeprefix("/lfs/")
        good = sha256(data) == digest
        self.hub.objects[digest] = data
        self.answer(200 if good else 400)

    def commit(self, name, lines):
        changes = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                changes[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                changes[value["path"]] = self.hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                changes[value["path"]] = None
        oid = self.hub.commit(name, changes)
        self.answer(
            200, {"commitUrl": f"{self.hub.endpoint}/{name}/commit/{oid}", "commitOid": oid}
        )

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        self.hub.requests.append((self.command, path))
        for part, answer in self.hub.hostile.items():
            if part in path:
                return answer(self)
        if path.startswith("/cdn/"):
            _, _, digest, name = path.split("/")
            return self.answer(200, self.hub.swapped.get(name, self.hub.objects.get(digest)))
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            return self.describe(*match.groups())
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self.resolve(*match.groups())
        return self.answer(404)

    def found(self, name, revision):
        """Return (commit, files), or None after having answered that there is none."""
        known = name in self.hub.repositories
        if not known or (name in self.hub.private and not self.token):
            self.answer(404, X_Error_Code="RepoNotFound")
            return None
        found = self.hub.find(name, revision)
        if found is None:
            self.answer(404, X_Error_Code="RevisionNotFound")
        return found

    def describe(self, name, revision):
        if (found := self.found(name, revision)) is None:
            return
        siblings = []
        for path, data in found[1].items():
            large = {"size": len(data), "sha256": sha256(data), "pointerSize": 134}
            lfs = {"lfs": large} if path.endswith(LARGE) else {}
            sibling = {"rfilename": path, "size": len(data), "blobId": git_blob(data), **lfs}
            siblings.append(sibling)
        self.answer(200, {"id": name, "sha": found[0], "siblings": siblings, "tags": []})

    def resolve(self, name, revision, path):
        if (found := self.found(name, revision)) is None:
            return
        if path not in found[1]:
            self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=found[0])
            return
        data, headers = found[1][path], {"X_Repo_Commit": found[0]}
        if path.endswith(LARGE):
            digest = sha256(data)
            self.hub.objects[digest] = data
            headers |= {"X_Linked_Etag": f'"{digest}"', "X_Linked_Size": str(len(data))}
            self.answer(302, Location=f"{self.hub.cdn}/cdn/{digest}/{path}", **headers)
            return
        self.answer(200, self.hub.swapped.get(path, data), ETag=f'"{git_blob(data)}"', **headers)


@contextmanager
def serving():
    """Yield a `Hub` that answers at its ``endpoint``."""
    hub = Hub()
    handler = type("Bound", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    hub.cdn = hub.endpoint.replace("127.0.0.1", "localhost")  # another host, as the hub has it
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
