"""Configuration files for tests, written as an operator writes them."""

from pathlib import Path
from typing import Any

from config import Config, load

COUNTS = {
    "videos": "SELECT COUNT(*) FROM videos WHERE COALESCE(is_removed, 0) = 0",
    "agents": "SELECT COUNT(*) FROM agents WHERE COALESCE(is_human, 0) = 0",
    "humans": "SELECT COUNT(*) FROM agents WHERE is_human = 1",
    "tips_confirmed": "SELECT COUNT(*) FROM tips WHERE COALESCE(status, 'confirmed') = 'confirmed'",
    "comments": "SELECT COUNT(*) FROM comments",
}
PIPELINE_COUNTS = {
    "renditions": "SELECT COUNT(*) FROM video_renditions",
    "with_provenance": "SELECT COUNT(*) FROM video_provenance",
    "anchored": "SELECT COUNT(*) FROM video_provenance WHERE COALESCE(anchor_tx_hash, '') <> ''",
}


def bottube_tree(
    *,
    store_url: str,
    observed_url: str,
    log_path: Path | None = None,
    node_urls: tuple[str, ...] = (),
    health_url: str | None = None,
    interval_s: int = 30,
) -> dict[str, Any]:
    """Return the tree of a configuration in BoTTube's shape, to be changed and written."""
    tree: dict[str, Any] = {
        "platform": {"name": "BoTTube", "region": "test", "description": "A test."},
        "store": {"url": store_url, "source": "test"},
        "schedule": {"interval_s": interval_s, "deadline_s": interval_s * 0.8},
        "web": {"port": 0},
        "observed": {"url": observed_url, "query_timeout_s": interval_s * 0.5},
        "state": {"counts": dict(COUNTS)},
        "queue": {
            "table": "gpu_jobs",
            "queued": ["pending", "claimed"],
            "running": ["running"],
            "completed": ["completed"],
            "failed": ["failed"],
        },
        "outcomes": {"table": "feed_impressions"},
        "experiments": {"table": "variant_impressions"},
        "pipeline": {
            "canonical_format": "8 s · 720×720 MP4",
            "counts": dict(PIPELINE_COUNTS),
            "encode": {"table": "gpu_jobs", "types": ["video_render", "transcode"]},
        },
        "nodes": [
            {
                "id": f"node-{i}",
                "location": f"Place {i}",
                "url": url,
                "timeout_s": min(2.0, interval_s * 0.5),
            }
            for i, url in enumerate(node_urls, 1)
        ],
    }
    if health_url is not None:
        tree["platform"]["health_url"] = health_url
        tree["platform"]["health_timeout_s"] = min(2.0, interval_s * 0.5)
    if log_path is not None:
        tree["latency"] = {
            "access_logs": [{"path": str(log_path), "format": "gunicorn"}],
            "classes": [
                {
                    "key": "latency",
                    "title": "User API latency",
                    "window": 1000,
                    "ceiling_ms": 500,
                    "exclude": ["/admin/", "/static/", "/health"],
                },
                {
                    "key": "latency_admin",
                    "title": "Admin backfill latency",
                    "window": 200,
                    "ceiling_ms": 60000,
                    "include": ["/admin/"],
                },
            ],
        }
    return tree


def write_config(path: Path, tree: dict[str, Any]) -> Path:
    """Write `tree` as TOML to `path` and return it."""
    path.write_text(_toml(tree), encoding="utf-8")
    return path


def load_tree(path: Path, tree: dict[str, Any]) -> Config:
    """Write `tree` to `path` and load it through the real loader."""
    return load(write_config(path, tree))


def _toml(tree: dict[str, Any], prefix: str = "") -> str:
    plain = {k: v for k, v in tree.items() if not isinstance(v, dict) and not _is_tables(v)}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items()]
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            lines += [f"[{name}]", _toml(value, f"{name}.")]
        elif _is_tables(value):
            for row in value:
                lines += [f"[[{name}]]", _toml(row, f"{name}.")]
    return "\n".join(lines) + "\n"


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    if isinstance(value, list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return repr(value)
