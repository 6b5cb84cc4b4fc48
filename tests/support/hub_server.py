"""A small Hub on loopback: enough of its protocol for ``huggingface_hub`` and ``datasets``.

    with HubServer(root) as hub:
        subprocess.run([...], env=os.environ | hub.environment(tmp_path))

``root`` holds ``models/ORG/NAME`` and ``datasets/ORG/NAME``; a folder ``NAME@REVISION`` beside them
is another revision of it (``%2F`` for a slash). ``hub.mode`` says how it behaves and may be changed
at any time; ``hub.requests`` is what was asked.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

MODES = {
    "good": "answers",
    "slow": "sends files a few bytes at a time",
    "silent": "takes requests and says nothing",
    "broken": "cuts every file off in the middle",
    "broken_once": "cuts the first file off in the middle, then is good",
    "missing": "knows no repository",
    "private": "answers 401, as the Hub does without a token",
    "gated": "shows repositories, not their files",
    "error": "answers 500",
    "huge": "lists weights that no disk has room for",
    "read_only": "lets nobody write",
    "upload_broken": "breaks off while it is sent a large file",
}
_ORIGIN = r"(?P<kind>models|datasets)/(?P<repo>[^/]+/[^/]+)"
_INFO = re.compile(rf"/api/{_ORIGIN}(?:/revision/(?P<revision>[^/]+))?")
_TREE = re.compile(rf"/api/{_ORIGIN}/tree/(?P<revision>[^/]+)(?:/(?P<path>.*))?")
_PATHS = re.compile(rf"/api/{_ORIGIN}/paths-info/(?P<revision>[^/]+)")
_DISCUSSIONS = re.compile(rf"/api/{_ORIGIN}/discussions")
_PREUPLOAD = re.compile(rf"/api/{_ORIGIN}/preupload/(?P<revision>[^/]+)")
_COMMIT = re.compile(rf"/api/{_ORIGIN}/commit/(?P<revision>[^/]+)")
_LFS_BATCH = re.compile(r"/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
_LFS_OBJECT = re.compile(r"/lfs/(?P<oid>[0-9a-f]{64})")
_FILE = re.compile(
    r"/(?:(?P<kind>datasets)/)?(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)"
)


class HubServer:
    """The server; use it as a context manager.

    Attributes:
        mode: one of MODES.
        modes: the mode of single repositories, by ``ORG/NAME``.
        requests: ``METHOD /path`` of every request so far.
        ranges: the ``Range`` of every request of a file that has one, by the file's name.
        conversions: numbers of a repository's pull requests with converted weights.
        slow_bytes: bytes of one piece in the mode ``slow``.
        slow_seconds: seconds between two pieces.
        token: the only one that is valid.
        uploads: the SHA-256 of every large file that was sent.
    """

    def __init__(self, root: Path, mode: str = "good") -> None:
        self.root = root
        self.mode = mode
        self.modes: dict[str, str] = {}
        self.requests: list[str] = []
        self.ranges: dict[str, list[str]] = {}
        self.conversions: dict[str, list[int]] = {}
        self.slow_bytes = 512
        self.slow_seconds = 0.01
        self.token = "hf_of_a_test"
        self.uploads: list[str] = []
        self.closing = threading.Event()
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    @property
    def url(self) -> str:
        """What ``HF_ENDPOINT`` has to be."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """Return the variables that send a new process here, with an empty cache in ``home``."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_TOKEN": "",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            **more,
        }

    def commit(self, kind: str, repo: str, revision: str = "main") -> str | None:
        """Return the commit of a revision, or None where there is none: a hash of its content."""
        folder = self.folder(kind, repo, revision)
        if folder is None:
            return None
        digest = hashlib.sha1(repo.encode())
        for path in files_of(folder):
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
        return digest.hexdigest()

    def folder(self, kind: str, repo: str, revision: str) -> Path | None:
        """Return the folder of a branch, tag or commit."""
        main = self.root / kind / repo
        if revision == "main":
            return main if main.is_dir() else None
        named = main.with_name(f"{main.name}@{revision.replace('/', '%2F')}")
        if named.is_dir():
            return named
        others = [path for path in main.parent.glob(f"{main.name}@*") if path.is_dir()]
        revisions = ["main", *(unquote(path.name.partition("@")[2]) for path in others)]
        if re.fullmatch("[0-9a-f]{40}", revision):
            for name in revisions:
                if self.commit(kind, repo, name) == revision:
                    return self.folder(kind, repo, name)
        return None

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def files_of(folder: Path) -> list[Path]:
    """Return a repository's files in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def blob_of(path: Path) -> dict[str, object]:
    """Return what the Hub says of a file; safetensors and Parquet files are kept in Git LFS."""
    data = path.read_bytes()
    row: dict[str, object] = {
        "oid": hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest(),
        "size": len(data),
    }
    if path.suffix in (".safetensors", ".parquet"):
        sha256 = hashlib.sha256(data).hexdigest()
        row["lfs"] = {"oid": sha256, "size": len(data), "pointerSize": 134}
    return row


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self._body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        address = urlsplit(self.path)
        self.hub.requests.append(f"{self.command} {address.path}")
        self._mode = self.hub.mode
        if self._write(address.path):
            return None
        for pattern, reply in (
            (_TREE, self._tree),
            (_PATHS, self._paths),
            (_INFO, self._info),
            (_DISCUSSIONS, self._discussions),
            (_FILE, self._file),
        ):
            match = pattern.fullmatch(address.path)
            if match:
                return self._about(match, reply)
        self._refuse(404, "", "Not Found")

    def _write(self, path: str) -> bool:
        """Answer a request of somebody who writes; return whether it was one."""
        if path == "/api/whoami-v2":
            self._for_owner(lambda: self._json({"name": "me", "type": "user", "orgs": []}))
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif path == "/api/repos/create":
            self._for_owner(self._create)
        elif match := _PREUPLOAD.fullmatch(path):
            self._for_owner(self._preupload)
        elif match := _LFS_BATCH.fullmatch(path):
            self._for_owner(self._lfs_batch)
        elif match := _LFS_OBJECT.fullmatch(path):
            self._lfs_object(match["oid"])
        elif match := _COMMIT.fullmatch(path):
            repo = match["repo"]
            self._for_owner(lambda: self._commit(repo))
        else:
            return False
        return True

    def _for_owner(self, reply: Callable[[], None]) -> None:
        is_reading = self.path == "/api/whoami-v2"
        if self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._refuse(401, "", "Invalid username or password.")
        elif self._mode == "read_only" and not is_reading:
            self._refuse(403, "", "You don't have the rights")
        else:
            reply()

    def _create(self) -> None:
        wanted = json.loads(self._body)
        repo = f"{wanted['organization']}/{wanted['name']}"
        folder = self.hub.root / "models" / repo
        if folder.exists():
            body = {"error": "You already created this model repo", "url": f"{self.hub.url}/{repo}"}
            return self._send(409, {}, json.dumps(body).encode())
        folder.mkdir(parents=True)
        (folder / ".gitattributes").write_text("*.safetensors filter=lfs\n")
        return self._json({"url": f"{self.hub.url}/{repo}", "private": wanted.get("private")})

    def _preupload(self) -> None:
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(self._body)["files"]
        ]
        self._json({"files": files})

    def _lfs_batch(self) -> None:
        """Say where each file is sent to; nothing for one that is here."""
        objects = []
        for wanted in json.loads(self._body)["objects"]:
            upload = {"href": f"{self.hub.url}/lfs/{wanted['oid']}"}
            is_here = self._stored(wanted["oid"]).exists()
            objects.append(wanted if is_here else {**wanted, "actions": {"upload": upload}})
        self._json({"transfer": "basic", "objects": objects})

    def _stored(self, oid: str) -> Path:
        return self.hub.root / "lfs" / oid

    def _lfs_object(self, oid: str) -> None:
        if self._mode == "upload_broken":
            self.close_connection = True
            return self.connection.close()
        assert hashlib.sha256(self._body).hexdigest() == oid
        self.hub.uploads.append(oid)
        self._stored(oid).parent.mkdir(exist_ok=True)
        self._stored(oid).write_bytes(self._body)
        return self._send(200, {}, b"")

    def _commit(self, repo: str) -> None:
        folder = self.hub.root / "models" / repo
        for line in self._body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                (folder / value["path"]).parent.mkdir(parents=True, exist_ok=True)
                (folder / value["path"]).write_bytes(base64.b64decode(value["content"]))
            elif entry["key"] == "lfsFile":
                content = self._stored(value["oid"]).read_bytes()
                (folder / value["path"]).write_bytes(content)
        commit = str(self.hub.commit("models", repo))
        url = f"{self.hub.url}/{repo}/commit/{commit}"
        self._json({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})

    def _about(self, match: re.Match[str], reply: object) -> None:
        """Find the repository and the revision, then reply."""
        groups = match.groupdict()
        kind = groups["kind"] or "models"
        repo = groups["repo"]
        revision = unquote(groups.get("revision") or "main")
        self._mode = self.hub.modes.get(repo, self.hub.mode)
        if self._mode == "silent":
            self.hub.closing.wait()
            self.close_connection = True
            return None
        if self._mode == "error":
            return self._refuse(500, "", "Internal Error")
        if self._mode == "private":
            return self._refuse(401, "", "Invalid username or password.")
        if self._mode == "missing" or self.hub.folder(kind, repo, "main") is None:
            return self._refuse(404, "RepoNotFound", "Repository not found")
        folder = self.hub.folder(kind, repo, revision)
        if folder is None:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        commit = str(self.hub.commit(kind, repo, revision))
        reply(folder, repo, commit, unquote(groups.get("path") or ""))

    def _info(self, folder: Path, repo: str, commit: str, path: str) -> None:
        names = [file.relative_to(folder).as_posix() for file in files_of(folder)]
        self._json(
            {
                "_id": commit[:24],
                "id": repo,
                "modelId": repo,
                "author": repo.partition("/")[0],
                "sha": commit,
                "lastModified": "2024-01-01T00:00:00.000Z",
                "createdAt": "2024-01-01T00:00:00.000Z",
                "private": False,
                "gated": "manual" if self._mode == "gated" else False,
                "disabled": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": [{"rfilename": name} for name in names],
            }
        )

    def _tree(self, folder: Path, repo: str, commit: str, path: str) -> None:
        start = folder / path
        if not start.is_dir():
            return self._refuse(404, "EntryNotFound", "Entry not found")
        query = parse_qs(urlsplit(self.path).query)
        deep = query.get("recursive", ["false"])[0].lower() in ("true", "1")
        found = sorted(start.rglob("*") if deep else start.iterdir())
        self._json([self._entry(folder, entry) for entry in found])

    def _discussions(self, folder: Path, repo: str, commit: str, path: str) -> None:
        found = [
            {
                "title": "Adding `safetensors` variant of this model",
                "num": number,
                "author": {"name": "SFconvertbot"},
                "createdAt": "2024-01-01T00:00:00.000Z",
                "status": "open",
                "repo": {"name": repo, "type": "model"},
                "isPullRequest": True,
            }
            for number in self.hub.conversions.get(repo, ())
        ]
        self._json({"discussions": found, "count": len(found), "start": 0})

    def _paths(self, folder: Path, repo: str, commit: str, path: str) -> None:
        if self.headers.get("Content-Type", "").startswith("application/json"):
            wanted = json.loads(self._body)["paths"]
        else:
            wanted = parse_qs(self._body.decode()).get("paths", [])
        found = [folder / name for name in wanted if name and (folder / name).exists()]
        self._json([self._entry(folder, entry) for entry in found])

    def _entry(self, folder: Path, entry: Path) -> dict[str, object]:
        name = entry.relative_to(folder).as_posix()
        if entry.is_dir():
            return {"type": "directory", "oid": "0" * 40, "size": 0, "path": name}
        row = {"type": "file", "path": name, **blob_of(entry)}
        if self._mode == "huge" and "lfs" in row:
            row["size"] = 10**18
        return row

    def _file(self, folder: Path, repo: str, commit: str, path: str) -> None:
        if self._mode == "gated":
            message = f"Access to model {repo} is restricted"
            return self._refuse(403, "GatedRepo", message)
        file = (folder / path).resolve()
        if not file.is_file() or folder.resolve() not in file.parents:
            return self._refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
        blob = blob_of(file)
        data = file.read_bytes()
        headers = {
            "X-Repo-Commit": commit,
            "ETag": f'"{blob["oid"]}"',
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'inline; filename="{file.name}"',
        }
        if "lfs" in blob:
            headers["X-Linked-Etag"] = f'"{blob["lfs"]["oid"]}"'
            headers["X-Linked-Size"] = str(len(data))
        status, start, stop = self._range(len(data))
        if status == 206:
            self.hub.ranges.setdefault(file.name, []).append(self.headers["Range"])
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        self._send(status, headers, data[start:stop])

    def _range(self, length: int) -> tuple[int, int, int]:
        """Return status, first byte and the one after the last."""
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match is None:
            return 200, 0, length
        stop = int(match[2]) + 1 if match[2] else length
        return 206, int(match[1]), min(stop, length)

    def _json(self, value: object) -> None:
        self._send(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def _refuse(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        named = {"X-Error-Code": code} if code else {}
        body = json.dumps({"error": message}).encode()
        self._send(status, {**named, "X-Error-Message": message, **(headers or {})}, body)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        is_file = "Accept-Ranges" in headers
        if is_file and self._mode in ("broken", "broken_once"):
            if self._mode == "broken_once":
                self.hub.mode = "good"
                self.hub.modes = {k: m for k, m in self.hub.modes.items() if m != self._mode}
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif is_file and self._mode == "slow":
            for start in range(0, len(body), self.hub.slow_bytes):
                self.wfile.write(body[start : start + self.hub.slow_bytes])
                time.sleep(self.hub.slow_seconds)
        else:
            self.wfile.write(body)
