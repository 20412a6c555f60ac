"""Which files beside a log are its earlier parts, by the names that rotation gives them."""

import re
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".lzma", ".zip", ".z", ".br")
#: After a separator: a number, a date, a time, as logrotate and cronolog write them.
_MARK = r"[-._](?:\d[\dTZ:._+-]*|old|prev)"


def earlier_parts(path: Path, others: Collection[Path] = ()) -> list[Path]:
    """Return the uncompressed rotated files of the log at `path`, the oldest first.

    `access.log.1`, `access.log-20261120`, `access-20261120.log`, `access.log.old` and the like.
    `others` are logs of their own, such as `access-2.log`; they and their parts are not meant.
    """
    mine = _names(path)
    theirs = [_names(one) for one in others if len(one.stem) > len(path.stem)]
    found: list[tuple[int, Path]] = []
    # What cannot be listed cannot be read either: the log's own error says why.
    with suppress(OSError):
        for entry in path.parent.iterdir():
            name = entry.name
            if not mine.fullmatch(name) or name.lower().endswith(_COMPRESSED) or entry in others:
                continue
            if any(names.fullmatch(name) for names in theirs):
                continue
            with suppress(FileNotFoundError):
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    found.append((status.st_mtime_ns, entry))
    return [part for _, part in sorted(found)]


def _names(path: Path) -> re.Pattern[str]:
    before, after = map(re.escape, (path.stem, path.suffix))
    return re.compile(f"{before}{after}{_MARK}|{before}{_MARK}{after}", re.IGNORECASE)
