"""What the fake W&B server knows of a run, and answers to each of the client's GraphQL operations."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.tracking.fake_wandb import FakeWandb

ENTITY = "team"


@dataclass
class FakeRun:
    """What a server knows about a run after whatever it was sent."""

    name: str
    project: str
    display_name: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    state: str = "running"
    exit_code: int | None = None
    streams: dict[str, dict[int, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def lines(self, stream: str) -> list[str]:
        """Return the lines of a stream in order of their offset."""
        found = self.streams.get(stream, {})
        return [found[offset] for offset in sorted(found)]

    def history(self) -> list[dict[str, Any]]:
        """Return the logged rows."""
        return [json.loads(line) for line in self.lines("wandb-history.jsonl")]

    def summary(self) -> dict[str, Any]:
        """Return the newest summary."""
        lines = self.lines("wandb-summary.json")
        return json.loads(lines[-1]) if lines else {}

    def values(self) -> dict[str, Any]:
        """Return the config without W&B's wrapping."""
        return {key: item["value"] for key, item in self.config.items() if key != "_wandb"}


def run_of(server: FakeWandb, name: str, project: str) -> FakeRun:
    return server.runs.setdefault(name, FakeRun(name=name, project=project))


def _bucket(run: FakeRun) -> dict[str, Any]:
    project = {"id": "p", "name": run.project, "entity": {"id": "e", "name": ENTITY}}
    history = run.lines("wandb-history.jsonl")
    return {
        "id": run.name, "name": run.name, "displayName": run.display_name, "description": "", "notes": "",
        "config": json.dumps(run.config), "sweepName": None, "project": project, "tags": run.tags,
        "historyLineCount": len(history), "logLineCount": 0, "eventsLineCount": 0,
        "historyTail": json.dumps(history[-1:]), "eventsTail": "[]",
        "summaryMetrics": json.dumps(run.summary()), "wandbConfig": json.dumps({"t": 1}),
    }  # fmt: skip


def _upsert(server: FakeWandb, sent: dict[str, Any]) -> dict[str, Any]:
    inserted = sent["name"] not in server.runs
    run = run_of(server, sent["name"], sent["project"])
    run.display_name = sent.get("displayName") or run.display_name
    run.group = sent.get("groupName") or run.group
    run.job_type = sent.get("jobType") or run.job_type
    run.tags = sent.get("tags") or run.tags
    if sent.get("config"):
        run.config = json.loads(sent["config"])
    return {"upsertBucket": {"bucket": _bucket(run), "inserted": inserted}}


def _resume(server: FakeWandb, sent: dict[str, Any]) -> dict[str, Any]:
    run = server.runs.get(sent["name"])
    entity = {"id": "e", "name": ENTITY}
    bucket = _bucket(run) if run else None
    return {"model": {"id": "p", "name": sent["project"], "entity": entity, "bucket": bucket}}


def _upload_urls(server: FakeWandb, sent: dict[str, Any]) -> dict[str, Any]:
    files = [{"name": n, "uploadUrl": f"{server.url}/put/{sent['run']}/{n}"} for n in sent["files"]]
    return {"createRunFiles": {"runID": sent["run"], "uploadHeaders": [], "files": files}}


def _listed(server: FakeWandb, sent: dict[str, Any]) -> dict[str, Any]:
    found = [run for run in server.runs.values() if run.project == sent["project"]]
    wanted = json.loads(sent.get("filters") or "{}")
    found = [run for run in found if wanted.get("group") in (None, run.group)]
    start = int(sent.get("cursor") or 0)
    page = found[start : start + int(sent.get("perPage") or 50)]
    edges = [{"node": _node(run), "cursor": str(start + i + 1)} for i, run in enumerate(page)]
    end = str(start + len(page))
    more = start + len(page) < len(found)
    runs = {"edges": edges, "pageInfo": {"endCursor": end, "hasNextPage": more}}
    if not found and all(run.project != sent["project"] for run in server.runs.values()):
        return {"project": None}
    return {"project": {"internalId": "1", "runCount": len(found), "readOnly": False, "runs": runs}}


def _node(run: FakeRun) -> dict[str, Any]:
    return _bucket(run) | {
        "projectId": "1", "state": run.state, "group": run.group, "jobType": run.job_type, "commit": None,
        "readOnly": False, "createdAt": "2026-01-01T00:00:00", "heartbeatAt": "2026-01-01T00:00:00",
        "systemMetrics": "{}", "user": {"name": "someone", "username": "someone"}, "historyKeys": {},
    }  # fmt: skip


def _one(server: FakeWandb, sent: dict[str, Any]) -> dict[str, Any]:
    run = server.runs.get(sent["name"])
    return {"project": {"internalId": "1", "run": _node(run) if run else None}}


def _history_keys(server: FakeWandb, sent: dict[str, Any]) -> dict[str, Any]:
    return {"project": {"run": {"historyKeys": {"lastStep": len(server.runs[sent["name"]].history()) - 1}}}}


def _parquet(server: FakeWandb, sent: dict[str, Any]) -> dict[str, Any]:
    """Nothing was exported yet: history is read page by page."""
    return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": []}}}}


def _history_page(server: FakeWandb, sent: dict[str, Any]) -> dict[str, Any]:
    rows = enumerate(server.runs[sent["run"]].history())
    shown = [json.dumps({**row, "_step": i}) for i, row in rows if sent["minStep"] <= i < sent["maxStep"]]
    return {"project": {"run": {"history": shown}}}


def _files(server: FakeWandb, sent: dict[str, Any]) -> dict[str, Any]:
    run = server.runs[sent["name"]]
    names = [name for name in run.files if not sent["fileNames"] or name in sent["fileNames"]]
    edges = [{"node": _file(server, run, name), "cursor": name} for name in names]
    page = {"endCursor": None, "hasNextPage": False}
    listing = {"fileCount": len(names), "files": {"edges": edges, "pageInfo": page}}
    return {"project": {"internalId": "1", "run": listing}}


def _file(server: FakeWandb, run: FakeRun, name: str) -> dict[str, Any]:
    url = f"{server.url}/get/{run.name}/{name}"
    size = str(len(run.files[name]))
    return {"id": name, "name": name, "url": url, "directUrl": url, "sizeBytes": size, "mimetype": "",
            "updatedAt": None, "md5": ""}  # fmt: skip


def _artifact_files(server: FakeWandb, sent: dict[str, Any]) -> dict[str, Any]:
    nodes = [
        {"node": {"storagePath": None, "uploadUrl": f"{server.url}/put/artifact/{spec['name']}",
                  "uploadHeaders": [], "uploadMultipartUrls": None, "artifact": {"id": "a"}}}
        for spec in sent["input"]["artifactFiles"]
    ]  # fmt: skip
    return {"createArtifactFiles": {"files": {"edges": nodes}}}


def _manifest(server: FakeWandb, sent: dict[str, Any]) -> dict[str, Any]:
    url = f"{server.url}/put/artifact/manifest.json"
    return {"artifactManifest": {"id": "m", "file": {"id": "f", "uploadUrl": url, "uploadHeaders": []}}}


VIEWER = {"id": "u", "entity": ENTITY, "username": "someone", "email": "", "flags": "{}", "admin": False,
          "teams": {"edges": [{"node": {"name": ENTITY}}]}}  # fmt: skip


ARTIFACT = {"id": "a", "state": "PENDING", "artifactSequence": {"latestArtifact": None}}


OPERATIONS: dict[str, Callable[[FakeWandb, dict[str, Any]], dict[str, Any]]] = {
    "ServerFeaturesQuery": lambda server, sent: {"serverInfo": {"features": []}},
    "Viewer": lambda server, sent: {"viewer": VIEWER},
    "GetDefaultEntity": lambda server, sent: {"viewer": VIEWER},
    "UpsertBucket": _upsert,
    "RunResumeStatus": _resume,
    "CreateRunFiles": _upload_urls,
    "Runs": _listed,
    "Run": _one,
    "RunFiles": _files,
    "RunHistoryKeys": _history_keys,
    "RunParquetHistory": _parquet,
    "HistoryPage": _history_page,
    "ArtifactType": lambda server, sent: {"project": {"artifact": None}},
    "CreateArtifact": lambda server, sent: {"createArtifact": {"artifact": ARTIFACT}},
    "CreateArtifactManifest": lambda server, sent: {"createArtifactManifest": _manifest(server, sent)},
    "UpdateArtifactManifest": lambda server, sent: {"updateArtifactManifest": _manifest(server, sent)},
    "CreateArtifactFiles": _artifact_files,
    "CommitArtifact": lambda server, sent: {"commitArtifact": {"artifact": {"id": "a", "digest": ""}}},
    "XXHashDigestsEnabled": lambda server, sent: {"entity": {"xxhashDigestsEnabled": False}},
}
