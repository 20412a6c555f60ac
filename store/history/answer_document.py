"""Series as the JSON object that the web and the command line give."""

from typing import Any

from store.history.answers import Answer
from store.times import SECOND_MS, iso_utc


def answer_document(source: str, answer: Answer) -> dict[str, Any]:
    """Return `answer` as docs/API.md describes it; null is unknown, times are in ISO 8601."""
    return {
        "ok": True,
        "source": source,
        "from": iso_utc(answer.period.start_ms),
        "to": iso_utc(answer.period.end_ms),
        "step_s": answer.step_ms // SECOND_MS,
        "times": [iso_utc(at_ms) for at_ms in answer.times_ms],
        "series": [
            {
                "metric": series.metric,
                "kind": series.kind,
                "tiers": list(series.tiers),
                "coverage": series.coverage,
                **series.columns,
            }
            for series in answer.series
        ],
    }
