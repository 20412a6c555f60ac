"""Rotating an access log as logrotate does, without ever losing sight of a line.

The oldest file is not deleted but moved to where the daemon does not look, so that all lines that
were ever written can be counted at the end.
"""

import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.request_counts import ADMIN, USERS, Completed, class_of
from tests.support.waiting import wait_for

_REQUEST = re.compile(r'\] "[A-Z]+ ([^ ?]+)\S* HTTP/1\.1" (\d{3}) ')
_LONGEST_UNTOLD_S = 0.8


@dataclass(frozen=True)
class RotatedLog:
    """An access log, of which `kept` older files stay beside it; `attic` gets the others."""

    path: Path
    attic: Path
    kept: int

    def rename(self, tell_writers: Callable[[], None]) -> None:
        """Rename the log and its older files; its writers are told some time later."""
        wait_for(self.path.exists, "its writers have reopened the log")
        self._move_older_on()
        self.path.rename(self._older(1))
        # Until then they write on into the renamed file, and none has the log's name.
        time.sleep(random.uniform(0.0, _LONGEST_UNTOLD_S))
        tell_writers()

    def copy_and_truncate(self) -> None:
        """Copy the log to `.1` and empty it in place, for a writer that is never told."""
        self._move_older_on()
        shutil.copyfile(self.path, self._older(1))
        with self.path.open("r+b") as log:
            log.truncate(0)

    def completed(self) -> dict[str, Completed]:
        """Return what all whole lines that are in any of the files tell, by class."""
        counts: Counter[int] = Counter()
        errors: Counter[int] = Counter()
        for path in [*self.path.parent.glob(f"{self.path.name}*"), *self.attic.iterdir()]:
            # A copy may have been made in the middle of a line.
            for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
                found = _REQUEST.search(line)
                assert found is not None, line
                counts[class_of(found[1])] += 1
                errors[class_of(found[1])] += int(found[2]) >= 500
        keys = (("latency", USERS), ("latency_admin", ADMIN))
        return {key: Completed(counts[one], errors[one]) for key, one in keys}

    def _move_older_on(self) -> None:
        oldest = self._older(self.kept)
        if oldest.exists():
            oldest.rename(self.attic / str(len(list(self.attic.iterdir()))))
        for number in range(self.kept - 1, 0, -1):
            if self._older(number).exists():
                self._older(number).rename(self._older(number + 1))

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
