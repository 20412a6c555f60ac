"""The platform's GPU workers: jobs come, are claimed, run, and end well or badly.

Run as `python -m demo.workers DATABASE`.
"""

import contextlib
import random
import sqlite3
import sys
import time

from demo.filling import JOB_TYPES
from demo.tables import connect

_PAUSE_S = 1.0
#: Chances of each step in a second.
_ARRIVAL, _CLAIM, _START, _END, _FAILURE = 0.3, 0.29, 0.5, 0.3, 0.06


def step(connection: sqlite3.Connection, dice: random.Random) -> None:
    """Let a second pass in the queue."""
    now_s = int(time.time())
    if dice.random() < _ARRIVAL:
        connection.execute(
            "INSERT INTO gpu_jobs (id, job_type, status, created_at) VALUES (?, ?, 'pending', ?)",
            (f"job-{time.time_ns():x}", dice.choice(JOB_TYPES), now_s),
        )
    if dice.random() < _CLAIM:
        _move(connection, "pending", "claimed", "claimed_at", now_s)
    if dice.random() < _START:
        _move(connection, "claimed", "running", "started_at", now_s)
    if dice.random() < _END:
        outcome = "failed" if dice.random() < _FAILURE else "completed"
        _move(connection, "running", outcome, "completed_at", now_s)


def _move(connection: sqlite3.Connection, old: str, new: str, time_column: str, now_s: int) -> None:
    connection.execute(
        f"UPDATE gpu_jobs SET status = ?, {time_column} = ? WHERE id ="
        " (SELECT id FROM gpu_jobs WHERE status = ? ORDER BY created_at LIMIT 1)",
        (new, now_s, old),
    )


def main(database: str) -> None:
    """Work on the queue until the process ends."""
    connection, dice = connect(database), random.Random()
    while True:
        # Whoever breaks a table to see what the page says may mend it again.
        with contextlib.suppress(sqlite3.OperationalError):
            step(connection, dice)
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    main(sys.argv[1])
