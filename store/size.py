"""How large the store is, so that what is deleted counts at once: here the engines differ.

SQLite knows its free pages. PostgreSQL's files do not shrink when rows are deleted: autovacuum
makes their room usable again. So what its rows take is worked out from how many live ones its
counters know of, and from how wide the newest are.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Table, func, select, text

from store.tables import metadata

#: After how many seconds what one connection deleted is in the size: PostgreSQL's counters lag.
SETTLES_S = {"sqlite": 0.0, "postgresql": 2.0}
#: PostgreSQL's pages, without their own header; a row's header, pointer and what rounding up to
#: 8 bytes adds on average. All in bytes.
_PAGE, _PAGE_ROOM, _ROW_OVERHEAD = 8192, 8168, 32
_SAMPLED_ROWS = 100
#: Below it a table is so small that it does not matter what it has.
_SMALL = 100_000

_COUNTERS = text(
    """
    SELECT c.relname AS name,
           pg_table_size(c.oid) AS table_bytes,
           pg_total_relation_size(c.oid) AS bytes,
           s.n_live_tup AS live,
           s.n_dead_tup AS dead,
           coalesce(s.last_analyze, s.last_autoanalyze, s.last_vacuum, s.last_autovacuum)
               IS NOT NULL AS is_counted
      FROM unnest(CAST(:names AS text[])) AS t(name)
      JOIN pg_class c ON c.oid = to_regclass(t.name)
      JOIN pg_stat_user_tables s ON s.relid = c.oid
    """
)


@dataclass(frozen=True)
class StoreSize:
    """In bytes: `on_disk` are the database's files, without SQLite's write-ahead log.

    `in_use` is what the rows of all sources take with their indexes, on PostgreSQL an estimate;
    None when that is not known before the rows are counted (`count_anew`).
    """

    on_disk: int
    in_use: int | None


def size_of(engine: Engine) -> StoreSize:
    """Return the size of the store behind `engine`. Raises SQLAlchemy's errors."""
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            return _size_of_postgres(connection)
        pages, free, page_bytes = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("page_count", "freelist_count", "page_size")
        )
    return StoreSize(pages * page_bytes, (pages - free) * page_bytes)


def count_anew(engine: Engine) -> None:
    """Have PostgreSQL estimate its rows anew, as it has to after a crash: a short ANALYZE."""
    if engine.dialect.name == "sqlite":
        return
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ANALYZE {', '.join(metadata.tables)}")


def _size_of_postgres(connection: Connection) -> StoreSize:
    # The end of any transaction hands in what the ones before it have counted.
    connection.exec_driver_sql("SELECT 1")
    connection.commit()
    counters = connection.execute(_COUNTERS, {"names": list(metadata.tables)}).all()
    on_disk = sum(row.bytes for row in counters)
    in_use = 0.0
    for row in counters:
        row_bytes = _row_bytes(connection, metadata.tables[row.name])
        # A crash takes the counters back to 0. Before a first count, what they know of has to be
        # about what the file has.
        known_bytes = (row.live + row.dead) * row_bytes
        if not row.is_counted and known_bytes < row.table_bytes / 2 and row.table_bytes > _SMALL:
            return StoreSize(on_disk, None)
        if row.table_bytes:
            in_use += row.bytes * min(1.0, row.live * row_bytes / row.table_bytes)
    return StoreSize(on_disk, round(in_use))


def _row_bytes(connection: Connection, table: Table) -> float:
    """Return how many bytes of PostgreSQL's files one of the newest rows takes on average.

    A row stands in one page: what is left in it where no other row fits in is the rows' as well.
    """
    keys = [column.desc() for column in table.primary_key]
    newest = select(table).order_by(*keys).limit(_SAMPLED_ROWS).subquery()
    columns = [func.coalesce(func.pg_column_size(column), 0) for column in newest.c]
    width = connection.scalar(select(func.avg(sum(columns, start=_ROW_OVERHEAD))))
    if width is None:
        return 0.0
    rows_a_page = _PAGE_ROOM // width
    return float(_PAGE / rows_a_page if rows_a_page else width)
