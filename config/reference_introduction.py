"""The hand-written part of docs/CONFIGURATION.md; `config.reference` adds every key."""

from typing import NamedTuple


class LogExample(NamedTuple):
    """A format of access logs, what makes a server write it, and a line of it."""

    format: str
    title: str
    setting: str
    line: str


LOG_EXAMPLES = (
    LogExample(
        "gunicorn",
        "gunicorn: its default format, then `%(D)s`, the duration in microseconds",
        """gunicorn --access-logfile /var/log/bottube/access.log \\
  --access-logformat '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s' …""",
        '203.0.113.7 - - [20/Nov/2026:10:13:30 +0000] "GET /api/feed HTTP/1.1" 200 5120 "-" '
        '"Mozilla/5.0" 8412',
    ),
    LogExample(
        "nginx",
        "nginx: its format `combined`, then `$request_time`, the duration in seconds",
        """log_format opsnap '$remote_addr - $remote_user [$time_local] "$request" '
                  '$status $body_bytes_sent "$http_referer" "$http_user_agent" $request_time';
access_log /var/log/nginx/bottube.log opsnap;""",
        '203.0.113.7 - - [20/Nov/2026:10:13:30 +0000] "GET /api/feed?page=2 HTTP/2.0" 200 5120 '
        '"-" "Mozilla/5.0" 0.008',
    ),
    LogExample(
        "json",
        "json: one object a line, as Caddy writes it, or nginx with `escape=json`",
        """log_format opsnap escape=json '{"time": "$time_iso8601", "request": "$request", '
                              '"status": $status, "request_time": $request_time}';
access_log /var/log/nginx/bottube.log opsnap;""",
        '{"time": "2026-11-20T10:13:30+00:00", "request": "GET /api/feed HTTP/2.0", '
        '"status": 200, "request_time": 0.008}',
    ),
    LogExample(
        r"(?P<time>\S+) (?P<method>\S+) (?P<path>\S+) (?P<status>\d+) (?P<duration_ms>[\d.]+)ms",
        "Anything else: a regular expression with named groups",
        "",
        "2026-11-20T10:13:30Z GET /api/feed 200 8.4ms",
    ),
)

INTRODUCTION = """\
# Configuration

<!-- Written by `make docs` from the schema in config/; changes belong there. -->

opsnap is configured by one TOML file. Every command takes it from `--config FILE`, from the
environment variable `OPSNAP_CONFIG`, or from `/etc/opsnap/opsnap.toml`, in this order.
[config/bottube.toml](../config/bottube.toml) is a complete example. The shortest file that does
something is:

```toml
[platform]
name = "BoTTube"

[store]
url = "sqlite:////var/lib/opsnap/opsnap.db"
source = "bottube-1"

[[nodes]]
id = "node-1"
location = "Hong Kong"
url = "https://node-1.example/health"
```

## Checking

`opsnap check` validates the file, tries every source once, and prints what it found. It exits with
0 when all is well, with 1 when a source fails, and with 2 when the file is bad.

Every command validates the whole file before it does anything else. An unknown key, a wrong type,
an impossible value, or values that contradict each other end it with exit status 2 and one line for
each mistake, all of them at once: the file, the key, what was found, what was expected.

```text
/etc/opsnap/opsnap.toml: schedule.interval_s: "30"; expected a whole number
/etc/opsnap/opsnap.toml: web.port: 70000; expected 65535 or less
```

## Secrets

Any text in the file may hold placeholders, alone or inside a longer text:

| placeholder | stands for |
|---|---|
| `${env:NAME}` | the environment variable `NAME` |
| `${credential:NAME}` | the systemd credential `NAME`: `LoadCredential=NAME:/path` in the unit |

```toml
url = "postgresql+psycopg://opsnap:${credential:store-password}@db.example/opsnap"
```

One newline at the end of a credential is not part of it. A placeholder whose variable is not set,
or whose credential cannot be read, is a mistake in the file. What was filled in appears in no
message; passwords, tokens and query strings of URLs that stand in the file itself are shown as
`***`. In a URL, characters of a password that mean something there have to be percent-encoded.
"""

LOG_FORMATS = """\
## Formats of access logs

`format` of `[[latency.access_logs]]` names one of three formats, or is a regular expression. Lines
that are not understood are counted: `unparsed` in the document."""

CUSTOM_GROUPS = """\
The whole line has to match. The groups are `path`, exactly one of `duration_s`, `duration_ms` and
`duration_us`, and, where the line has them, `status`, `method` and `time` (written as
`20/Nov/2026:10:13:30 +0000`, in ISO 8601, or as seconds since 1970). In TOML, a text in single
quotes needs no doubled backslashes."""
