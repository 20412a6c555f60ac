"""Asking the record: series, percentiles of any period, uptime, incidents. Nothing here writes."""
