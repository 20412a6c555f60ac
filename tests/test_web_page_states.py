"""What the page says of a section in each of its states, and of values that are not known."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.documents import (
    INTERVAL_MS,
    SECTIONS,
    Document,
    healthy_document,
    iso,
    this_tick_ms,
)
from tests.support.markup import Element
from tests.support.visitors import page_of

UNKNOWN = "— unknown"
ShowPage = Callable[[Document], Element]


@pytest.fixture
def show(sqlite_url: str, tmp_path: Path) -> ShowPage:
    """Returns the page that visitors of a document get."""
    return partial(page_of, url=sqlite_url, directory=tmp_path)


def in_state(name: str, status: str, reason: str | None, **more: Any) -> Document:
    """Return a document in which one section is in that state, and the others are ok."""
    document = healthy_document()
    document["sections"][name] |= {"status": status, "reason": reason, **more}
    return document


def without_values(values: Any) -> Any:
    """Return what a sampler that never succeeded has for a section."""
    if isinstance(values, list):
        nodes = [row for row in values if "id" in row]
        return [dict.fromkeys(n) | {"id": n["id"], "location": n["location"]} for n in nodes]
    by_bucket = all(isinstance(value, dict) for value in values.values())
    return {} if by_bucket else dict.fromkeys(values)


def provenance(page: Element, name: str) -> str:
    (found,) = page.by_id(f"panel-{name}").all("p", "provenance")
    return found.text


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_that_is_stale_shows_its_last_values_and_from_when_they_are(
    show: ShowPage, name: str
) -> None:
    sampled_at_ms = this_tick_ms() - 4 * INTERVAL_MS
    document = in_state(name, "stale", "timeout", sampled_at=iso(sampled_at_ms))
    page = show(document)
    text = provenance(page, name)
    assert text.startswith("stale")
    assert "no answer in time" in text
    assert f"{iso(sampled_at_ms)[11:19]} UTC" in text
    assert "min" in text.partition("(")[2]
    values = page.by_id(f"panel-{name}").text
    assert UNKNOWN not in values.replace(text, "")
    assert "is-stale" in page.by_id(f"panel-{name}").attributes["class"]


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [("error", "no_table", "table not there"), ("off", "not_configured", "not configured")],
)
def test_a_section_without_values_shows_dashes_and_why_and_never_a_zero(
    show: ShowPage, name: str, status: str, reason: str, words: str
) -> None:
    document = in_state(name, status, reason, sampled_at=None, took_ms=None)
    document[name] = without_values(document[name])
    panel = show(document).by_id(f"panel-{name}")
    (note,) = panel.all("p", "provenance")
    assert words in note.text
    assert note.text.startswith("no values" if status == "error" else "off")
    for term, value in panel.figures().items():
        assert value.startswith(UNKNOWN), term
    assert panel.all("meter") == []
    assert panel.all("figure") == []
    for row in panel.rows():
        assert row[0] == "unknown"
        assert row[3:] == [UNKNOWN] * 5
    assert not re.search(r"\b0\b", panel.text)


@pytest.mark.parametrize("status", ["error", "off"])
def test_a_queue_that_cannot_be_read_does_not_say_that_it_lacks_snapshots(
    show: ShowPage, status: str
) -> None:
    document = in_state("queue", status, "no_table", sampled_at=None)
    document["queue"] = without_values(document["queue"])
    assert "100 snapshots" not in show(document).by_id("panel-queue").text


def test_a_queue_with_too_little_history_says_so(show: ShowPage) -> None:
    document = in_state("queue", "ok", None, missing={"depth_percentile": "no_samples"})
    document["queue"]["depth_percentile"] = None
    text = show(document).by_id("panel-queue").figures()["Depth percentile"]
    assert text.startswith(UNKNOWN)
    assert "100 snapshots" in text


@pytest.mark.parametrize(
    ("name", "key", "term", "reason", "words"),
    [
        ("state", "videos", "Videos", "no_column", "column not there"),
        ("state", "version", "Version", "refused", "connection refused"),
        ("state", "uptime_s", "Uptime", "tls", "certificate not accepted"),
        ("queue", "oldest_queued_s", "Oldest waiting", "bad_value", "value not usable"),
        ("pipeline", "renditions", "Renditions", "timeout", "no answer in time"),
        ("pipeline", "avg_encode_s", "Average encode", "no_samples", "nothing measured"),
    ],
)
def test_one_value_that_could_not_be_read_is_a_dash_with_its_reason_beside_the_others(
    show: ShowPage, name: str, key: str, term: str, reason: str, words: str
) -> None:
    document = in_state(name, "partial", reason, missing={key: reason})
    document[name][key] = None
    if key == "avg_encode_s":
        document[name]["encode_jobs"] = 0
    panel = show(document).by_id(f"panel-{name}")
    shown = panel.figures()
    assert shown[term].startswith(f"{UNKNOWN} {words}")
    assert not [t for t, value in shown.items() if t != term and UNKNOWN in value]
    assert panel.all("p", "provenance")[0].text.startswith("incomplete")


@pytest.mark.parametrize(
    "key", ["p50", "p95", "p99", "max", "oldest_s", "errors", "lost", "clamped", "samples"]
)
def test_a_latency_that_is_not_known_is_a_dash(show: ShowPage, key: str) -> None:
    document = healthy_document()
    document["latency"][key] = None
    if key == "p95":
        document["latency"]["p95_bar"] = None
    shown = show(document).by_id("panel-latency").figures()
    assert len([value for value in shown.values() if value.startswith(UNKNOWN)]) == 1


def test_a_window_without_requests_is_unknown_and_says_that_nothing_was_measured(
    show: ShowPage,
) -> None:
    document = in_state("latency", "ok", "no_samples")
    nothing = ("p50", "p95", "p99", "max", "oldest_s", "p95_bar", "lost", "distribution")
    document["latency"] |= {
        **dict.fromkeys(nothing),
        "samples": 0,
        "errors": 0,
        "slowest_routes": [],
    }
    page = show(document)
    shown = page.by_id("panel-latency").figures()
    for term in ("p50", "p95", "p99", "Slowest", "Oldest request", "Lost"):
        assert shown[term].startswith(UNKNOWN), term
    # Of this one, zero is what is known.
    assert shown["Samples"].startswith("0 of the last")
    assert page.by_id("panel-latency").all("meter") == []
    assert page.by_id("panel-latency").all("figure") == []
    assert page.by_id("panel-latency").all("table") == []
    assert "nothing measured in the window" in provenance(page, "latency")


def test_a_bucket_that_nobody_clicked_has_no_mean_watch_time(show: ShowPage) -> None:
    document = healthy_document()
    document["outcomes"]["latest"] |= {"clicks": 0, "ctr": 0.0, "mean_watch_s": None}
    (row,) = [row for row in show(document).by_id("panel-outcomes").rows() if row[0] == "latest"]
    assert row[1:3] == ["0.00 %", "0 / 70,123"]
    assert row[3].startswith(UNKNOWN)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_document_from_before_a_panel_existed_is_still_a_page(show: ShowPage, name: str) -> None:
    document = healthy_document()
    del document[name], document["sections"][name]
    page = show(document)
    assert "41.2 ms" in page.text or name == "nodes"
    assert "74.2 s" in page.text or name == "pipeline"


def test_a_state_that_this_version_does_not_know_is_unknown(show: ShowPage) -> None:
    document = in_state("queue", "meditating", None)
    document["nodes"][0]["status"] = "levitating"
    page = show(document)
    assert provenance(page, "queue").startswith("unknown")
    assert page.by_id("panel-nodes").rows()[0][0].startswith("unknown")


def test_every_state_has_a_shape_of_its_own(show: ShowPage) -> None:
    document = healthy_document()
    states = ("ok", "partial", "stale", "error", "off")
    for name, status in zip(SECTIONS, states, strict=False):
        document["sections"][name] |= {"status": status, "reason": "timeout"}
    page = show(document)
    shapes = {}
    for name, status in zip(SECTIONS, states, strict=False):
        (note,) = page.by_id(f"panel-{name}").all("p", "provenance")
        (shape,) = note.all("svg", "shape")
        assert shape.attributes["aria-hidden"] == "true"
        shapes[status] = str([(one.tag, one.attributes) for one in shape.walk()][1:])
    assert len(set(shapes.values())) == len(states)
