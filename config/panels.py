"""The panels that are read from the platform's database: what to count, in which columns."""

from typing import Annotated

from pydantic import Field

from config.section import ColumnName, Key, Section, SomeTexts, Sql, TableName, Text, Texts

Counts = Annotated[dict[Key, Sql], Field(description="name = SQL that returns one number")]


class State(Section):
    """`[state]`: plain counters of the platform; version and uptime come from `health_url`."""

    counts: Counts = Field(default_factory=dict, description="name = SQL that returns one number")


class Queue(Section):
    """`[queue]`: jobs by their status."""

    table: TableName = Field(description="the table of jobs")
    status_column: ColumnName = Field("status", description="the job's state")
    created_column: ColumnName = Field("created_at", description="when the job was made")
    finished_column: ColumnName = Field("completed_at", description="when it ended")
    queued: SomeTexts = Field(description="states that wait")
    running: SomeTexts = Field(description="states that run")
    completed: SomeTexts = Field(description="states that ended well")
    failed: SomeTexts = Field(description="states that ended badly")


class Outcomes(Section):
    """`[outcomes]`: impressions, clicks and watch time by feed bucket."""

    table: TableName = Field(description="one row an impression")
    window_days: float = Field(7, gt=0, le=366, description="how far back impressions count")
    bucket_column: ColumnName = Field("bucket", description="which feed showed it")
    created_column: ColumnName = Field("created_at", description="when it was shown")
    clicked_column: ColumnName = Field(
        "clicked_at", description="when it was clicked; 0 or NULL is no click"
    )
    watch_column: ColumnName = Field("watch_seconds", description="seconds watched after it")


class Experiments(Section):
    """`[experiments]`: running A/B tests, most impressions first."""

    table: TableName = Field(description="one row an event of a variant")
    window_days: float = Field(7, gt=0, le=366, description="how far back events count")
    limit: int = Field(5, ge=1, le=100, description="how many tests the page shows")
    name_prefix: str = Field("thumb-ab:", max_length=40, description="put before the test's id")
    id_column: ColumnName = Field("video_id", description="what is tested")
    variant_column: ColumnName = Field("variant_key", description="which variant was shown")
    event_column: ColumnName = Field("event_type", description="what happened")
    created_column: ColumnName = Field("created_at", description="when it happened")
    impression_event: Text = Field("impression", description="the event that is an impression")
    exclude_variant_prefixes: Texts = Field(
        ("feed:",), description="variants of other uses of the table, by their first characters"
    )


class Encode(Section):
    """`[pipeline.encode]`: jobs whose mean run time is the average encode time."""

    table: TableName = Field("gpu_jobs", description="the table of jobs")
    type_column: ColumnName = Field("job_type", description="what kind of job it is")
    types: SomeTexts = Field(description="kinds of jobs that encode")
    status_column: ColumnName = Field("status", description="the job's state")
    completed: SomeTexts = Field(("completed",), description="states that ended well")
    started_column: ColumnName = Field("started_at", description="when it began to run")
    finished_column: ColumnName = Field("completed_at", description="when it ended")
    window_h: float = Field(24, gt=0, le=8784, description="how far back ended jobs count")


class Pipeline(Section):
    """`[pipeline]`: the media pipeline."""

    canonical_format: str = Field("", max_length=200, description="the format, as the page says it")
    counts: Counts = Field(default_factory=dict, description="name = SQL that returns one number")
    encode: Encode | None = Field(
        None, description="where the average encode time comes from; without it there is none"
    )
