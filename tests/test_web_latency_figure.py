"""The latency panel's figure and routes: what is drawn is what was counted, and can be read."""

import math
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.latency.distribution import distribution
from tests.support.documents import full_document, healthy_document, this_tick_ms
from tests.support.markup import Element
from tests.support.properties import unhurried
from tests.support.visitors import page_of
from web.histogram_figure import histogram_figure

ShowPanel = Callable[..., Element]
#: What tests.support.documents says of the user class, as a person would put it down.
BOUNDS_MS = (
    2.371,
    3.162,
    4.217,
    5.623,
    7.499,
    10.0,
    13.34,
    17.78,
    23.71,
    31.62,
    42.17,
    56.23,
    74.99,
)
COUNTS = (17, 72, 148, 187, 239, 156, 86, 25, 39, 0, 10, 8)
HOUR_US = 3_600_000_000


@pytest.fixture
def panel(sqlite_url: str, tmp_path: Path) -> ShowPanel:
    """Returns a class's panel, of a document with other values in that class."""
    moments_ms = count(this_tick_ms())

    def show(key: str = "latency", **values: Any) -> Element:
        document = full_document(next(moments_ms))
        document[key] |= values
        return page_of(document, sqlite_url, tmp_path).by_id(f"panel-{key}")

    return show


def the_figure(panel: Element) -> Element:
    (figure,) = panel.all("div", "histogram")
    return figure


def percent(told: str) -> float:
    assert told.endswith("%"), told
    return float(told[:-1])


def bars(panel: Element) -> list[dict[str, float]]:
    """Return the bars' x, y, width and height, from left to right."""
    names = ("x", "y", "width", "height")
    return [
        {name: percent(rect.attributes[name]) for name in names}
        for rect in the_figure(panel).all("rect")
    ]


def marks(panel: Element) -> dict[str, float]:
    """Return where the lines stand in the plot, by the names over them."""
    (plot,) = the_figure(panel).all("svg", "plot")
    found = {}
    for mark in plot.all("g", "mark"):
        (line,) = mark.all("line")
        name = mark.attributes["class"].removeprefix("mark ")
        assert line.attributes["x1"] == line.attributes["x2"]
        found[name] = percent(line.attributes["x1"])
    named = [mark.text for mark in the_figure(panel).all("svg", "over")[0].all("g", "mark")]
    assert sorted(named) == sorted(found)
    return found


def axis(panel: Element) -> dict[str, float]:
    (drawn,) = the_figure(panel).all("svg", "axis")
    return {text.text: percent(text.attributes["x"]) for text in drawn.all("text")}


def on_two_decades_from_1_ms(ms: float) -> float:
    return 50 * math.log10(ms)


def test_every_bin_with_requests_is_a_bar_as_high_as_its_count(panel: ShowPanel) -> None:
    drawn = bars(panel())
    counted = [number for number in COUNTS if number]
    assert [bar["height"] for bar in drawn] == pytest.approx(
        [100 * number / 239 for number in counted], abs=0.006
    )
    for bar in drawn:
        assert bar["y"] + bar["height"] == pytest.approx(100, abs=0.02)


def test_every_bar_stands_between_its_bounds_on_a_logarithmic_axis(panel: ShowPanel) -> None:
    shown = panel()
    # The bounds reach from 2.371 to 74.99 ms, so the axis goes from 1 to 100 ms.
    assert axis(shown) == {"1 ms": 0, "10 ms": 50, "100 ms": 100}
    between = [bounds for bounds, number in zip(pairwise(BOUNDS_MS), COUNTS, strict=True) if number]
    for bar, (from_ms, to_ms) in zip(bars(shown), between, strict=True):
        left, right = on_two_decades_from_1_ms(from_ms), on_two_decades_from_1_ms(to_ms)
        assert left < bar["x"]
        assert bar["x"] + bar["width"] < right
        # No wider a gap than a quarter, and as much on either side.
        assert bar["width"] > 0.75 * (right - left)
        assert bar["x"] + bar["width"] / 2 == pytest.approx((left + right) / 2, abs=0.02)


def test_the_percentiles_are_marked_where_they_are(panel: ShowPanel) -> None:
    expected = {"p50": 8.43, "p95": 25.1, "p99": 48.7}
    assert marks(panel()) == pytest.approx(
        {name: on_two_decades_from_1_ms(ms) for name, ms in expected.items()}, abs=0.006
    )


def test_the_ceiling_is_marked_when_it_is_on_the_axis(panel: ShowPanel) -> None:
    assert "ceiling" not in marks(panel())
    # From 31.62 to 74.99 s: half a minute to three, which is a factor of six.
    shown = panel("latency_admin")
    assert axis(shown) == pytest.approx({"30 s": 0, "1 min": 38.69, "3 min": 100}, abs=0.01)
    assert marks(shown)["ceiling"] == axis(shown)["1 min"]
    assert len(the_figure(shown).all("rect", "late")) == 0


def test_bars_above_the_ceiling_are_told_apart(panel: ShowPanel) -> None:
    shown = panel(ceiling_ms=17.78)
    late = [rect.attributes["x"] for rect in the_figure(shown).all("rect", "late")]
    # 25, 39, none, 10 and 8 requests took at least 17.78 ms.
    assert len(late) == 4
    assert late == [rect.attributes["x"] for rect in the_figure(shown).all("rect")][-4:]


def test_the_largest_count_is_written_over_the_bars(panel: ShowPanel) -> None:
    assert "239 requests" in the_figure(panel()).text


def test_the_figure_says_its_numbers_to_those_who_do_not_see_it(panel: ShowPanel) -> None:
    figure = the_figure(panel())
    assert figure.attributes["role"] == "img"
    assert figure.attributes["aria-label"] == (
        "Histogram of 987 requests by duration on a logarithmic scale, 2.371 ms to 74.99 ms; "
        "p50 8.43 ms, p95 25.1 ms, p99 48.7 ms. "
        "The fullest bar, 7.499 ms to 10 ms, has 239 of them, 24.2 %."
    )
    told = the_figure(panel("latency_admin")).attributes["aria-label"]
    assert "176 requests" in told
    assert "31.62 s to 74.99 s; p50 51.2 s" in told


def test_all_counts_stand_in_a_table_that_can_be_unfolded(panel: ShowPanel) -> None:
    (details,) = panel().all("details")
    assert "open" not in details.attributes
    assert len(details.all("summary")) == 1
    rows = details.rows()
    assert [int(told) for _, told in rows] == list(COUNTS)
    assert rows[0][0] == "2.371 ms to 3.162 ms"
    assert rows[5][0] == "10 ms to 13.34 ms"
    assert rows[-1][0] == "56.23 ms to 74.99 ms"


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        [],
        "x",
        {"bounds_ms": [1.0, 1.334], "counts": None},
        {"bounds_ms": [], "counts": []},
        {"bounds_ms": [1.0], "counts": []},
        {"bounds_ms": [1.0, 1.334], "counts": [0]},
        {"bounds_ms": [1.0, 1.334], "counts": [1, 2]},
        {"bounds_ms": [1.0, None], "counts": [1]},
        {"bounds_ms": [1.334, 1.0], "counts": [1]},
        {"bounds_ms": [0.0, 1.0], "counts": [1]},
        {"bounds_ms": ["<b>", "</b>"], "counts": [1]},
        {"bounds_ms": [1.0, 1.334, 1.778], "counts": [5, -4]},
        {"bounds_ms": [1.0, 1.334], "counts": [True]},
        {"bounds_ms": [1.0, 1.334], "counts": ["7"]},
    ],
)
def test_without_a_distribution_nothing_is_drawn(panel: ShowPanel, told: Any) -> None:
    shown = panel(distribution=told)
    assert shown.all("figure") == []
    assert shown.all("details") == []
    assert shown.figures()["p50"] == "8.43 ms"


def test_a_document_from_before_the_distribution_was_kept_is_still_a_page(
    sqlite_url: str, tmp_path: Path
) -> None:
    document = healthy_document()
    for key in ("latency", "latency_admin"):
        del document[key]["distribution"], document[key]["slowest_routes"]
    page = page_of(document, sqlite_url, tmp_path)
    for key in ("latency", "latency_admin"):
        shown = page.by_id(f"panel-{key}")
        assert shown.all("figure") == shown.all("table") == shown.all("p", "nothing") == []
        assert len(shown.all("meter")) == 1
    assert page.by_id("panel-latency").figures()["p95"] == "25.1 ms"


def test_a_percentile_that_is_not_known_is_not_marked(panel: ShowPanel) -> None:
    shown = panel(p95=None, p95_bar=None)
    assert marks(shown).keys() == {"p50", "p99"}
    assert "p95" not in the_figure(shown).attributes["aria-label"]


def test_one_request_is_one_bar(panel: ShowPanel) -> None:
    shown = panel(distribution={"bounds_ms": [7.499, 10.0], "counts": [1]})
    (bar,) = bars(shown)
    assert (bar["y"], bar["height"]) == (0, 100)
    assert "1 request" in the_figure(shown).text
    assert "1 requests" not in the_figure(shown).text


def test_a_bar_of_one_request_is_seen_beside_a_bar_of_a_hundred_thousand(panel: ShowPanel) -> None:
    told = {"bounds_ms": [5.623, 7.499, 10.0, 13.34], "counts": [99_999, 0, 1]}
    high, low = bars(panel(distribution=told))
    assert high["height"] == 100
    # The plot is 5.4 rem high or more, 86 pixels.
    assert low["height"] / 100 * 86 > 1


@unhurried
@given(
    durations_us=st.lists(
        st.integers(0, 9).flatmap(lambda power: st.integers(1, 4 * 10**power)), min_size=1
    ),
    marked_us=st.tuples(*[st.integers(1, HOUR_US)] * 3),
    ceiling_ms=st.sampled_from([1.0, 500.0, 60_000.0]),
)
@example(durations_us=[1], marked_us=(1, 1, 1), ceiling_ms=1.0)
@example(durations_us=[1, HOUR_US], marked_us=(HOUR_US,) * 3, ceiling_ms=60_000.0)
def test_of_any_distribution_everything_is_drawn_and_no_text_covers_another(
    durations_us: list[int], marked_us: tuple[int, int, int], ceiling_ms: float
) -> None:
    p50, p95, p99 = (us / 1000 for us in sorted(marked_us))
    told = distribution(durations_us)
    assert told is not None
    drawn = histogram_figure(
        {"distribution": told, "p50": p50, "p95": p95, "p99": p99, "ceiling_ms": ceiling_ms}
    )
    assert drawn is not None
    assert [bar.count for bar in drawn.bars] == told["counts"]
    for one, other in pairwise(drawn.bars):
        assert 0 <= one.x < one.x + one.width <= other.x
    assert drawn.bars[-1].x + drawn.bars[-1].width <= 100
    # A letter is at most 8 pixels wide there, of 265 that the narrowest figure has: 3 %.
    assert [label.name for label in drawn.labels if label.name != "ceiling"] == [
        "p50",
        "p95",
        "p99",
    ]
    assert_apart([(one.text_x, "middle", one.name) for one in drawn.labels])
    assert_apart([(tick.x, tick.anchor, tick.text) for tick in drawn.ticks if tick.text])
    assert len([tick for tick in drawn.ticks if tick.text]) >= 2
    assert [label.x for label in drawn.labels] == sorted(label.x for label in drawn.labels)


def assert_apart(texts: list[tuple[float, str, str]]) -> None:
    """Fail when a text of (place, anchor, text) touches another one, or the edge."""
    extents = []
    for x, anchor, text in texts:
        width = 3.0 * len(text)
        start = x - {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * width
        extents.append((start, start + width))
    assert extents == sorted(extents)
    for (_, end), (start, _) in pairwise(extents):
        assert end <= start
    assert extents[0][0] >= -1
    assert extents[-1][1] <= 101


def test_age_errors_lost_and_clamped_always_stand_beside_the_percentiles(panel: ShowPanel) -> None:
    for key in ("latency", "latency_admin"):
        shown = panel(key, errors=0, lost=0, clamped=0).figures()
        for term in ("Errors", "Lost", "Clamped"):
            assert shown[term].split()[0] == "0", term
        assert shown["Oldest request"].endswith("ago")
        assert "Not understood" not in shown
    shown = panel(errors=31, lost=32, clamped=33, unparsed=34, oldest_s=3725.0).figures()
    assert [shown[term].split()[0] for term in ("Errors", "Lost", "Clamped")] == ["31", "32", "33"]
    assert shown["Not understood"] == "34 log lines of all classes"
    assert shown["Oldest request"] == "1 h 2 min ago"


def test_requests_that_may_be_lost_are_unknown_with_a_word_on_it(panel: ShowPanel) -> None:
    assert panel(lost=None).figures()["Lost"] == "— unknown maybe some, uncounted"
    # Of a class of which nothing is known nothing is supposed.
    assert panel(lost=None, samples=None).figures()["Lost"] == "— unknown"
    assert panel(lost=None, samples=0).figures()["Lost"] == "— unknown"


def test_durations_of_microseconds_are_not_nothing(panel: ShowPanel) -> None:
    shown = panel(p50=0.001, p95=0.0372, p99=0.099, max=0.41).figures()
    told = [shown[term] for term in ("p50", "p95", "p99", "Slowest")]
    assert told == ["1.00 µs", "37.2 µs", "99 µs", "0.41 ms"]


def routes(panel: Element) -> list[list[str]]:
    (table,) = panel.all("table", "routes")
    return table.rows()


def test_the_slowest_routes_stand_there_in_their_order(panel: ShowPanel) -> None:
    assert routes(panel()) == [
        ["/api/videos/:id/comments", "58", "19.7 ms", "47.3 ms"],
        ["/api/feed", "311", "8.12 ms", "24.6 ms"],
        ["/watch/:id", "405", "6.54 ms", "16.8 ms"],
    ]
    (table,) = panel().all("table", "routes")
    assert [head.text for head in table.all("thead")[0].all("th")] == [
        "Route",
        "Count",
        "p50",
        "p95",
    ]
    assert table.all("caption")[0].text == "Slowest routes"


def test_a_class_that_shows_no_routes_has_no_table(panel: ShowPanel) -> None:
    shown = panel("latency_admin")
    assert shown.all("table", "routes") == []
    assert "oute" not in shown.text


def test_a_window_without_a_route_says_so(panel: ShowPanel) -> None:
    shown = panel(slowest_routes=[])
    assert shown.all("table", "routes") == []
    assert [note.text for note in shown.all("p", "nothing")] == ["— unknown no route to show"]


def test_a_long_route_may_be_broken_at_its_slashes_and_stays_one_word(panel: ShowPanel) -> None:
    route = "/" + "/".join(["a-very-long-segment"] * 6) + "/…"
    told = [{"route": route, "count": 1, "p50": 1.0, "p95": 1.0}]
    shown = panel(slowest_routes=told)
    assert routes(shown)[0][0] == route
    (table,) = shown.all("table", "routes")
    assert len(table.all("wbr")) == 7


@pytest.mark.parametrize(
    "route",
    ["/<script>alert(1)</script>", '/"><img src=x onerror="alert(1)">', "/&lt;b&gt;/{{ 7 * 7 }}"],
)
def test_a_route_is_a_text_whatever_it_is(panel: ShowPanel, route: str) -> None:
    shown = panel(slowest_routes=[{"route": route, "count": 1, "p50": None, "p95": 1.0}])
    assert shown.all("script") == shown.all("img") == shown.all("b") == []
    (row,) = routes(shown)
    assert row == [route, "1", "— unknown", "1.00 ms"]


def test_nothing_of_the_figure_needs_a_style_or_a_script(panel: ShowPanel) -> None:
    for element in panel().walk():
        assert "style" not in element.attributes
        assert element.tag not in ("style", "script", "foreignobject", "use", "image")
        assert not [name for name in element.attributes if name.startswith(("on", "xlink"))]
