"""The command line. Every command loads the configuration, and only the parts that it needs."""

import ctypes
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from config import Config, ConfigError, load

if TYPE_CHECKING:
    from sqlalchemy import Engine

_EXIT_BAD_CONFIG = 2
_EXIT_TERMINATED = 128 + signal.SIGTERM
#: Of glibc's malloc.h.
_M_ARENA_MAX = -8


def main() -> None:
    """Run the command line; the entry point of the `opsnap` script."""
    cli(prog_name="opsnap")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    envvar="OPSNAP_CONFIG",
    default=Path("/etc/opsnap/opsnap.toml"),
    show_default=True,
    help="The TOML file; OPSNAP_CONFIG names it as well.",
)
@click.option("--verbose", is_flag=True, help="Log at DEBUG.")
@click.version_option(package_name="opsnap")
@click.pass_context
def cli(context: click.Context, config_path: Path, *, verbose: bool) -> None:
    """Keep an honest, queryable record of a running web platform."""
    _set_up_logging(logging.DEBUG if verbose else logging.INFO)
    context.obj = config_path


@cli.command()
@click.pass_obj
def check(config_path: Path) -> None:
    """Validate the file and try every source once. Exit 0: all fine, 1: a source fails, 2: bad."""
    config = _load(config_path)
    from daemon.checking import check_sources

    findings = check_sources(config)
    width = max(len(finding.source) for finding in findings)
    for finding in findings:
        took = "" if finding.took_ms is None else f"{finding.took_ms:8.1f} ms"
        line = f"{finding.source:<{width}}  {finding.status:<8} {took:>11}  {finding.detail}"
        click.echo(line.rstrip())
    sys.exit(1 if any(finding.is_failure for finding in findings) else 0)


@cli.command()
@click.pass_obj
def migrate(config_path: Path) -> None:
    """Bring the store to the newest schema."""
    config = _load(config_path)
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    from migrations.upgrading import upgrade

    try:
        upgrade(config.store.url)
    except (SQLAlchemyError, CommandError) as error:
        _fail_with_store(error)
    click.echo("the store is at the newest schema")


@cli.command()
@click.pass_obj
def daemon(config_path: Path) -> None:
    """Run the sampler daemon until SIGTERM or SIGINT."""
    config = _load(config_path)
    from sqlalchemy.exc import SQLAlchemyError

    from daemon.failures import SampleError

    _share_one_arena()
    from daemon.service import run
    from store.revision import SchemaError

    try:
        sys.exit(run(config))
    except (SchemaError, SQLAlchemyError) as error:
        _fail_with_store(error)
    except SampleError as error:
        raise click.ClickException(error.detail) from None


@cli.command()
@click.option("--dry-run", is_flag=True, help="Do not store the snapshot.")
@click.pass_obj
def sample(config_path: Path, *, dry_run: bool) -> None:
    """Take one snapshot now, store it, and print its document."""
    config = _load(config_path)
    from sqlalchemy.exc import SQLAlchemyError

    from daemon.failures import SampleError
    from daemon.recording import sample_once
    from store.revision import SchemaError

    try:
        document = sample_once(config, is_stored=not dry_run)
    except (SchemaError, SQLAlchemyError) as error:
        _fail_with_store(error)
    except SampleError as error:
        raise click.ClickException(error.detail) from None
    if document is None:
        raise click.ClickException("no snapshot was stored; the log says why")
    click.echo(document)


@cli.command()
@click.pass_obj
def web(config_path: Path) -> None:
    """Serve the page until SIGTERM or SIGINT."""
    config = _load(config_path)
    _share_one_arena()
    from web.server import serve

    try:
        serve(config)
    except OSError as error:
        where = f"{config.web.host}:{config.web.port}"
        raise click.ClickException(f"cannot listen on {where}: {error.strerror}") from None


_TIME_HELP = "ISO 8601, epoch seconds, now, or back from it: -90s, -15m, -6h, -7d, -2w."


@cli.command()
@click.argument("metrics", nargs=-1, metavar="[METRIC]...")
@click.option("--from", "from_text", default="-24h", show_default=True, help=_TIME_HELP)
@click.option("--to", "to_text", default="now", show_default=True, help="Up to then; as --from.")
@click.option("--step", default="auto", show_default=True, help="One of 30s, 5m, 2h, 1d, or so.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How to tell it.",
)
@click.option("--list", "is_list", is_flag=True, help="List what METRIC can be.")
@click.pass_obj
def history(
    config_path: Path,
    metrics: tuple[str, ...],
    from_text: str,
    to_text: str,
    step: str,
    file_format: str,
    *,
    is_list: bool,
) -> None:
    """Show what numbers were: queue.queued, latency.p99, 'nodes.*.rtt_ms'. Alone: list them."""
    config = _load(config_path)
    from store.codec import encode
    from store.history.answer_document import answer_document
    from store.history.asking import QueryError, period_of, step_ms_of
    from store.history.csv_text import csv_text
    from store.history.metrics import known_metrics
    from store.history.near import naming_near
    from store.history.plain_text import printable
    from store.history.series import ask
    from store.history.table_text import table_lines

    source, now_ms = config.store.source, time.time_ns() // 1_000_000
    encoding = sys.stdout.encoding or "ascii"
    with _reading(config) as engine, engine.connect() as connection:
        if is_list or not metrics:
            for path in known_metrics(connection, source):
                click.echo(printable(path, encoding))
            return
        period, step_ms = period_of(from_text, to_text, now_ms), step_ms_of(step)
        try:
            answer = ask(connection, source, metrics, period, step_ms, now_ms)
        except QueryError as error:
            raise naming_near(error, metrics, known_metrics(connection, source)) from None
    if file_format == "table":
        for line in table_lines(answer, shutil.get_terminal_size().columns, encoding):
            click.echo(line)
    elif file_format == "csv":
        click.echo(csv_text(answer).encode(), nl=False)
    else:
        click.echo(encode(answer_document(source, answer)).encode())


@cli.command()
@click.option("--from", "from_text", required=True, help=_TIME_HELP)
@click.option("--to", "to_text", default="now", show_default=True, help="Up to then; as --from.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["ndjson", "csv", "parquet"]),
    default="ndjson",
    show_default=True,
    help="What to write; parquet needs opsnap's extra of that name.",
)
@click.option(
    "--table",
    type=click.Choice(["snapshots", "numbers", "rollups", "intervals", "latency", "changes"]),
    help="What to export; by default snapshots as ndjson, numbers as csv and parquet.",
)
@click.option("--tier", help="Of rollups 5m, 1h or 1d, of latency also 30m, 2h, 6h; else 5m.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default=Path("-"),
    help="The file, which is there whole or not at all; by default the standard output.",
)
@click.pass_obj
def export(
    config_path: Path,
    from_text: str,
    to_text: str,
    file_format: str,
    table: str | None,
    tier: str | None,
    output: Path,
) -> None:
    """Hand the record of a period out, for other tools."""
    config = _load(config_path)
    from store.export.exporting import carry_out, plan
    from store.export.output import whole_file
    from store.export.pages import ExportError
    from store.export.telling import Progress, summary
    from store.history.asking import QueryError, period_of

    # It runs the cleaning up, so that no part of a file is left.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_EXIT_TERMINATED))
    is_standard, progress = output == Path("-"), Progress(sys.stderr)
    with _reading(config) as engine:
        period = period_of(from_text, to_text, time.time_ns() // 1_000_000)
        planned = plan(config.store.source, period, file_format, table, tier)
        if file_format == "parquet" and is_standard and sys.stdout.isatty():
            raise QueryError("output", "expected a file: parquet is nothing for a terminal")
        opened: AbstractContextManager[BinaryIO] = (
            nullcontext(sys.stdout.buffer) if is_standard else whole_file(output)
        )
        try:
            with opened as sink:
                exported = carry_out(engine, planned, sink, progress)
        except ExportError as error:
            raise click.ClickException(str(error)) from None
        except BrokenPipeError:
            raise
        except OSError as error:
            raise click.ClickException(f"{output}: {error.strerror}") from None
        finally:
            progress.end()
    click.echo(summary(exported), err=True)


@cli.command()
@click.option(
    "--interval",
    "interval_s",
    type=click.IntRange(min=2),
    default=10,
    show_default=True,
    help="Seconds a tick.",
)
@click.option("--port", default=0, help="Port of the page; 0: any free one.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the demo's files there; by default they go when it ends.",
)
def demo(interval_s: int, port: int, directory: Path | None) -> None:
    """Start a small platform, the daemon and the page together; Ctrl-C stops all."""
    from demo.launching import launch

    sys.exit(launch(interval_s=interval_s, port=port, directory=directory))


def _share_one_arena() -> None:
    """Let all threads allocate from one arena: glibc's one for each costs 10 MB within a day.

    Only what runs for long calls it. Where the C library has no such setting, nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def _load(path: Path) -> Config:
    try:
        return load(path)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(_EXIT_BAD_CONFIG)


@contextmanager
def _reading(config: Config) -> Iterator["Engine"]:
    """Yield the store to be read; what is wrong with it, or with the question, ends the command."""
    from sqlalchemy.exc import SQLAlchemyError

    from store.engines import open_reader
    from store.history.asking import QueryError
    from store.revision import SchemaError, require_current_schema

    engine = open_reader(config.store.url)
    try:
        require_current_schema(engine)
        yield engine
    except QueryError as error:
        hint = "METRIC" if error.parameter == "metric" else f"'--{error.parameter}'"
        context = click.get_current_context()
        raise click.BadParameter(error.expected, context, param_hint=hint) from None
    except (SchemaError, SQLAlchemyError) as error:
        _fail_with_store(error)
    finally:
        engine.dispose()


def _fail_with_store(error: Exception) -> None:
    from config.masking import one_line

    raise click.ClickException(f"the store cannot be used: {one_line(str(error))}") from None


def _set_up_logging(level: int) -> None:
    # Under systemd the journal has the time already.
    time = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(level=level, format=time + "%(levelname)s %(name)s: %(message)s")
    logging.Formatter.default_msec_format = None
    # At DEBUG it tells every address with its query, where tokens may be.
    logging.getLogger("urllib3").setLevel(logging.INFO)
    # It tells of every plugin that it sets up.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
