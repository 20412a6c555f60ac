"""How properties are tested: Hypothesis' examples count, the machine's speed does not."""

from typing import Final

from hypothesis import HealthCheck, settings

#: For a property; 100 examples each.
unhurried: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
#: For a property whose examples each take milliseconds, or share what a fixture made.
sparing: Final = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
