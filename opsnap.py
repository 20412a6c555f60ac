"""The command line. Every command loads the configuration, and only the parts that it needs."""

import ctypes
import logging
import os
import sys
from pathlib import Path

import click

from config import Config, ConfigError, load

_EXIT_BAD_CONFIG = 2
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
