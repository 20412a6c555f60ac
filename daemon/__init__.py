"""The daemon: it samples every section side by side and commits one snapshot a tick."""
