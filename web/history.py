"""The history's routes, all under `/api/engineering/`."""

from web import history_latency, history_series, history_snapshots, history_states

BLUEPRINTS = (
    history_series.blueprint,
    history_latency.blueprint,
    history_snapshots.blueprint,
    history_states.blueprint,
)
