"""Files that are good: the examples, the defaults, what just fits; and secrets from outside."""

import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from config import Config, ConfigError, load
from daemon.samplers import build_samplers

ROOT = Path(__file__).parents[1]
BOTTUBE = ROOT / "config" / "bottube.toml"
DESIGN = ROOT / "tests" / "data" / "design.toml"
HEAD = '[platform]\nname = "x"\n[store]\nurl = "sqlite:////var/lib/x.db"\nsource = "x"\n'
NODE = '[[nodes]]\nid = "a"\nlocation = "Place"\nurl = "http://a.example/"\n'
#: Long, odd, and no part of any message by chance.
SECRET = 'Zq7:/?#%"\\x@Yw9'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "opsnap.toml"
    path.write_text(text, encoding="utf-8")
    return path


def loaded(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Config:
    return load(written(tmp_path, text), environ or {})


def refused(tmp_path: Path, text: str, environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(written(tmp_path, text), environ)
    return [str(problem) for problem in error.value.problems]


def every_key(tree: Any, loc: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield each value of a TOML file that is no table, with where it stands."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from every_key(value, (*loc, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from every_key(value, (*loc, index))
    else:
        yield loc, tree


def value_at(config: Any, loc: tuple[str | int, ...]) -> Any:
    for step in loc:
        is_attribute = isinstance(step, str) and not isinstance(config, dict)
        config = getattr(config, str(step)) if is_attribute else config[step]
    return config


@pytest.mark.parametrize("path", [BOTTUBE, DESIGN], ids=lambda path: path.stem)
def test_an_example_loads_and_every_key_arrives_as_it_was_written(path: Path) -> None:
    config = load(path, {})
    keys = list(every_key(tomllib.loads(path.read_text(encoding="utf-8"))))
    assert len(keys) >= 45
    for loc, value in keys:
        assert value_at(config, loc) == value, loc


def test_bottubes_example_configures_all_eight_panels() -> None:
    config = load(BOTTUBE, {})
    samplers = {sampler.name: sampler for sampler in build_samplers(config)}
    assert {name for name, sampler in samplers.items() if sampler.sample is not None} == {
        "nodes",
        "latency",
        "state",
        "queue",
        "outcomes",
        "experiments",
        "pipeline",
    }
    # The panel of latency is two: user and admin requests.
    assert [c.key for c in config.latency.classes] == ["latency", "latency_admin"]
    assert [c.window for c in config.latency.classes] == [1000, 200]
    assert [c.ceiling_ms for c in config.latency.classes] == [500, 60_000]
    assert len(config.nodes) == 4
    assert list(config.state.counts) == ["videos", "agents", "humans", "tips_confirmed", "comments"]
    assert list(config.pipeline.counts) == ["renditions", "with_provenance", "anchored"]
    assert config.pipeline.encode.types == ("video_render", "transcode")


def test_bottubes_example_keeps_the_paths_that_are_no_user_traffic_out_of_the_user_class() -> None:
    media = {"/static/", "/thumbnails/", "/avatars/", "/videos/", "/api/videos/", "/favicon"}
    machines = {"/robots", "/sitemap", "/health", "/keyframes/", "/renditions/"}
    pages = {"/api/engineering", "/engineering", "/admin/"}
    assert set(load(BOTTUBE, {}).latency.classes[0].exclude) == media | machines | pages


def test_addresses_in_bottubes_example_are_examples_or_this_machine() -> None:
    config = load(BOTTUBE, {})
    hosts = [node.url.split("/")[2].split(":")[0] for node in config.nodes]
    assert hosts == ["node-1.example", "node-2.example", "node-3.example", "node-4.example"]
    assert config.platform.health_url == "http://127.0.0.1:8097/health"
    assert config.web.host == "127.0.0.1"


def test_what_the_file_leaves_out_has_its_documented_value(tmp_path: Path) -> None:
    config = loaded(tmp_path, HEAD + NODE + '[observed]\nurl = "sqlite:////srv/y.db"\n')
    assert (config.schedule.interval_s, config.schedule.tick_deadline_s) == (30, 10)
    assert (config.web.host, config.web.port, config.web.url_prefix) == ("127.0.0.1", 8098, "")
    assert (config.web.trusted_proxies, config.web.threads) == (0, 4)
    (node,) = config.nodes
    assert (node.timeout_s, node.warn_ms, node.err_ms, node.verify_tls) == (2, 800, 2500, True)
    assert (config.observed.query_timeout_s, config.observed.times) == (5, "epoch_s")
    assert config.platform.health_url is None
    assert config.latency is config.state is config.queue is config.outcomes is None
    assert config.experiments is config.pipeline is None


@pytest.mark.parametrize(
    ("interval_s", "deadline_s"), [(1, 1 / 3), (12, 4), (30, 10), (60, 10), (3600, 10)]
)
def test_a_tick_has_a_third_of_its_interval_and_at_most_ten_seconds(
    interval_s: int, deadline_s: float, tmp_path: Path
) -> None:
    config = loaded(tmp_path, f"{HEAD}[schedule]\ninterval_s = {interval_s}\n")
    assert config.schedule.tick_deadline_s == pytest.approx(deadline_s)


def test_timeouts_just_below_the_deadline_and_a_deadline_just_below_the_interval_fit(
    tmp_path: Path,
) -> None:
    text = (
        HEAD.replace(
            'name = "x"', 'name = "x"\nhealth_url = "http://h.example/"\nhealth_timeout_s = 28.9'
        )
        + "[schedule]\ninterval_s = 30\ndeadline_s = 29\n"
        + NODE
        + "timeout_s = 28.9\n"
        + '[observed]\nurl = "sqlite:////srv/y.db"\nquery_timeout_s = 28.9\n'
    )
    config = loaded(tmp_path, text)
    assert config.schedule.tick_deadline_s == 29
    assert config.nodes[0].timeout_s == 28.9


def test_a_health_timeout_without_a_health_url_contradicts_nothing(tmp_path: Path) -> None:
    config = loaded(tmp_path, HEAD + "[schedule]\ninterval_s = 3\n")
    assert config.platform.health_timeout_s == 2 > config.schedule.tick_deadline_s


@pytest.mark.parametrize(
    "text",
    [
        "[state]\n",
        '[pipeline]\ncanonical_format = "8 s"\n',
        '[latency]\n[[latency.classes]]\nkey = "latency"\ntitle = "Users"\n',
    ],
)
def test_panels_that_read_no_database_need_none(text: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, HEAD + text).observed is None


def test_one_postgresql_database_may_hold_the_platforms_tables_and_the_store(
    tmp_path: Path,
) -> None:
    url = "postgresql+psycopg://{}@db.example/bottube"
    config = loaded(
        tmp_path,
        f'[platform]\nname = "x"\n[store]\nurl = "{url.format("opsnap")}"\nsource = "x"\n'
        f'[observed]\nurl = "{url.format("reader")}"\n',
    )
    assert config.store.url == "postgresql+psycopg://opsnap@db.example/bottube"


@pytest.mark.parametrize(
    "url_prefix", ["", "/ops", "/ops/page", "/~status", "/v1.2", "/under_score-dash"]
)
def test_a_path_is_a_url_prefix(url_prefix: str, tmp_path: Path) -> None:
    config = loaded(tmp_path, f'{HEAD}[web]\nurl_prefix = "{url_prefix}"\n')
    assert config.web.url_prefix == url_prefix


@pytest.mark.parametrize(
    "log_format",
    [
        "gunicorn",
        "nginx",
        "json",
        r"(?P<time>\S+) (?P<method>\S+) (?P<path>\S+) (?P<status>\d+) (?P<duration_ms>[\d.]+)",
        r"(?P<duration_us>\d+) (?P<path>/\S*)",
        r"(?P<path>/\S*) took (?P<duration_s>[\d.]+)s",
    ],
)
def test_an_access_log_has_a_named_format_or_a_regular_expression(
    log_format: str, tmp_path: Path
) -> None:
    config = loaded(
        tmp_path,
        f"{HEAD}[[latency.access_logs]]\npath = '/var/log/a.log'\nformat = '{log_format}'\n"
        '[[latency.classes]]\nkey = "latency"\ntitle = "Users"\n',
    )
    assert config.latency.access_logs[0].format == log_format


def test_a_loaded_configuration_cannot_be_changed() -> None:
    config = load(BOTTUBE, {})
    with pytest.raises(ValueError, match="frozen"):
        config.schedule.interval_s = 5


def test_secrets_of_both_kinds_fill_any_string_also_in_lists_and_beside_each_other(
    tmp_path: Path,
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "store-password").write_text("s3cret\n", encoding="utf-8")
    (credentials / "two-lines").write_text("one\n\n", encoding="utf-8")
    config = loaded(
        tmp_path,
        "[platform]\n"
        'name = "${credential:two-lines}"\n'
        'region = "costs $5 or ${env:PRICE} {env:PRICE}"\n'
        'description = ""\n'
        "[store]\n"
        'url = "postgresql+psycopg://${env:DB_USER}:${credential:store-password}@db.example/x"\n'
        'source = "x"\n'
        "[[latency.classes]]\n"
        'key = "latency"\n'
        'title = "Users"\n'
        'exclude = ["/static/", "${env:HIDDEN}"]\n',
        {
            "CREDENTIALS_DIRECTORY": str(credentials),
            "DB_USER": "opsnap",
            "PRICE": "${env:DB_USER}",
            "HIDDEN": "/hidden/",
        },
    )
    assert config.store.url == "postgresql+psycopg://opsnap:s3cret@db.example/x"
    # One newline at the end is the editor's; a second one is the secret's.
    assert config.platform.name == "one\n"
    # What a secret holds is never a placeholder itself.
    assert config.platform.region == "costs $5 or ${env:DB_USER} {env:PRICE}"
    assert config.latency.classes[0].exclude == ("/static/", "/hidden/")


def test_a_credential_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    (credentials / "directory").mkdir(parents=True)
    (credentials / "latin-1").write_bytes("Müller".encode("latin-1"))
    text = (
        '[platform]\nname = "${credential:absent}"\nregion = "${credential:directory}"\n'
        'description = "${credential:latin-1}"\n'
        '[store]\nurl = "sqlite:////var/lib/x.db"\nsource = "x"\n'
    )
    found = refused(tmp_path, text, {"CREDENTIALS_DIRECTORY": str(credentials)})
    expected = "expected a readable systemd credential"
    assert found == [
        f'platform.name: "${{credential:absent}}"; {expected} absent (No such file or directory)',
        f'platform.region: "${{credential:directory}}"; {expected} directory (Is a directory)',
        f'platform.description: "${{credential:latin-1}}"; {expected} latin-1 (it is not UTF-8)',
    ]


def test_a_secret_that_is_missing_is_one_mistake_also_where_its_value_would_be_checked(
    tmp_path: Path,
) -> None:
    text = '[platform]\nname = "x"\n[store]\nurl = "${env:STORE_URL}"\nsource = "x"\n'
    assert refused(tmp_path, text, {}) == [
        'store.url: "${env:STORE_URL}"; expected the environment variable STORE_URL to be set'
    ]


def test_a_secret_is_a_text_and_no_number(tmp_path: Path) -> None:
    text = HEAD + '[web]\nport = "${env:PORT}"\n'
    assert refused(tmp_path, text, {"PORT": "8098"}) == [
        'web.port: "${env:PORT}"; expected a whole number'
    ]


def test_no_message_ever_shows_a_secret_that_was_filled_in(tmp_path: Path) -> None:
    # Situation: each text of the full example in turn, and then all of them at once, come from
    # the environment, and the secret fits hardly anywhere.
    text = BOTTUBE.read_text(encoding="utf-8")
    tree = tomllib.loads(text)
    texts = {value for _, value in every_key(tree) if isinstance(value, str) and value != "latency"}
    messages = []
    for changed in [{one} for one in sorted(texts)] + [texts]:
        now = text
        for value in changed:
            now = now.replace(f'"{value}"', '"${env:PLANTED}"')
        assert now != text
        with suppress(ConfigError):
            loaded(tmp_path, now, {"PLANTED": SECRET})
            continue
        messages += refused(tmp_path, now, {"PLANTED": SECRET})
    assert len(messages) > 60
    assert not [one for one in messages if "Zq7" in one or "Yw9" in one]


def test_a_secret_that_stands_twice_is_told_of_without_showing_it(tmp_path: Path) -> None:
    text = HEAD + (NODE + NODE).replace('"a"', '"${env:PLANTED}"')
    assert refused(tmp_path, text, {"PLANTED": "hunter2"}) == [
        'nodes[1].id: "${env:PLANTED}"; expected it once; nodes[0] has it already'
    ]
