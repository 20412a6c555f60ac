"""One module a section of the page. To add one: a module with `build`, and an entry here."""

from collections.abc import Callable

from config import Config
from daemon.observed import ObservedDatabase
from daemon.sampler import Sampler
from daemon.samplers import experiments, latency, nodes, outcomes, pipeline, queue, state

Builder = Callable[[Config, ObservedDatabase | None], Sampler]

#: In the order of the document.
BUILDERS: dict[str, Builder] = {
    "nodes": nodes.build,
    "latency": latency.build,
    "state": state.build,
    "queue": queue.build,
    "outcomes": outcomes.build,
    "experiments": experiments.build,
    "pipeline": pipeline.build,
}


def build_samplers(config: Config) -> list[Sampler]:
    """Return every sampler, those that are not configured too. Touches no source.

    Raises SampleError when the observed database's driver is not installed.
    """
    observed = config.observed
    database = ObservedDatabase(observed.url, observed.query_timeout_s) if observed else None
    return [build(config, database) for build in BUILDERS.values()]
