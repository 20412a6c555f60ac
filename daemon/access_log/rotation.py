"""Which files beside a log are its earlier parts, by the names that rotation gives them."""

import re
import stat
from contextlib import suppress
from pathlib import Path

_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".lzma", ".zip", ".z", ".br")
#: After a separator: a number, a date, a time, as logrotate and cronolog write them.
_MARK = r"[-._](?:\d[\dTZ:._+-]*|old|prev)"


def earlier_parts(path: Path) -> list[Path]:
    """Return the uncompressed rotated files of the log at `path`, the oldest first.

    `access.log.1`, `access.log-20261120`, `access-20261120.log`, `access.log.old` and the like.
    """
    before, after = map(re.escape, (path.stem, path.suffix))
    named = re.compile(f"{before}{after}{_MARK}|{before}{_MARK}{after}", re.IGNORECASE)
    found: list[tuple[int, Path]] = []
    # What cannot be listed cannot be read either: the log's own error says why.
    with suppress(OSError):
        for entry in path.parent.iterdir():
            if named.fullmatch(entry.name) and not entry.name.lower().endswith(_COMPRESSED):
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    if stat.S_ISREG(status.st_mode):
                        found.append((status.st_mtime_ns, entry))
    return [part for _, part in sorted(found)]
