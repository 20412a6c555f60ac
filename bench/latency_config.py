"""opsnap's configuration for figures of latency alone: BoTTube's two classes, no other panel."""

from pathlib import Path

from tests.support.configuring import bottube_tree, write_config

_SECTIONS = ("platform", "store", "schedule", "web", "latency")


def write_latency_config(
    directory: Path, *, log: Path | None = None, log_format: str = "", rings: Path | None = None
) -> Path:
    """Write a configuration that reads `log`, or `rings`, into `directory`; return its path."""
    whole = bottube_tree(
        store_url=f"sqlite:///{directory / 'store.db'}",
        observed_url="sqlite://",
        log_path=log or Path("unused"),
        interval_s=30,
    )
    tree = {name: whole[name] for name in _SECTIONS}
    tree["platform"]["health_url"] = "http://127.0.0.1:9/health"
    if rings is None:
        tree["latency"]["access_logs"][0]["format"] = log_format
    else:
        del tree["latency"]["access_logs"]
        tree["latency"]["recorder_dir"] = str(rings)
    return write_config(directory / "opsnap.toml", tree)
