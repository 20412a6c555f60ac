"""Half a minute of hammering on one small ring: whatever two readers see, they see whole.

The writer and the readers are processes of their own. Each record proves itself: its path carries
a hash of everything that was written with it.
"""

import hashlib
import multiprocessing
import random
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

from daemon.requests import Request
from daemon.rings.following import RingFollower
from recorder.ring import PATH_SIZE, RingWriter
from tests.support.waiting import wait_for

_SPAWN = multiprocessing.get_context("spawn")
_SECONDS = 30.0
_SLOTS = 512
_HASH_DIGITS = 16


@dataclass
class _Seen:
    """What a reader saw; `torn` are requests that do not prove themselves, or came out of turn."""

    whole: int = 0
    lost: int = 0
    torn: tuple[Request, ...] = ()


def test_two_readers_beside_a_hammering_writer_see_no_torn_record_in_half_a_minute(
    tmp_path: Path,
) -> None:
    is_over = _SPAWN.Event()
    results = [_SPAWN.Pipe(duplex=False) for _ in range(2)]
    hammer, hammered = _SPAWN.Pipe(duplex=False)
    processes = [_SPAWN.Process(target=_write, args=(str(tmp_path), hammered))]
    processes += [
        _SPAWN.Process(target=_read, args=(str(tmp_path), is_over, end)) for _, end in results
    ]
    try:
        for process in processes:
            process.start()
        # A process that fails closes the last hold on its end, which ends the waiting for it.
        for _, end in results:
            end.close()
        hammered.close()
        assert hammer.poll(_SECONDS + 20), "the writer did not come to its end"
        written = hammer.recv()
        processes[0].join()
        is_over.set()
        wait_for(lambda: all(result.poll() for result, _ in results), "both readers are done")
        for seen in [result.recv() for result, _ in results]:
            assert seen.torn == ()
            assert seen.whole + seen.lost == written
            assert seen.whole > 20 * _SLOTS, "the reader slept most of the time"
    finally:
        for process in processes:
            process.kill()
            process.join()
    assert written > 1000 * _SLOTS, "the ring hardly went around"


def _write(directory: str, result: Connection) -> None:
    """Write for the time that is set, in bursts that go around the ring up to three times."""
    writer, dice, number = RingWriter(directory, _SLOTS), random.Random(), 0
    ends = time.monotonic() + _SECONDS
    while time.monotonic() < ends:
        for _ in range(dice.randrange(1, 3 * _SLOTS)):
            number += 1
            duration_us, status = dice.getrandbits(40), dice.randrange(600)
            rest = b"/" + b"x" * dice.randrange(PATH_SIZE)
            proof = _proof(number, duration_us, status)
            method = dice.choice((b"GET", b"POST", b"OPTIONS", b""))
            writer.write(duration_us * 1000, status, method, b"/%d/" % number + proof + rest)
        time.sleep(dice.uniform(0, 0.002))
    result.send(number)


def _read(directory: str, is_over: Event, result: Connection) -> None:
    """Follow the ring until it is over, and what is left then to its end."""
    follower, seen, last = RingFollower(Path(directory)), _Seen(), 0
    follower.begin(None)
    is_last_round = False
    while not is_last_round:
        is_last_round = is_over.is_set()
        for batch in follower.read_new():
            seen.lost += sum(loss.requests for loss in batch.losses)
            for request in batch.requests:
                number = _proven_number(request)
                if number is None or number <= last:
                    seen.torn = (*seen.torn[:3], request)
                    continue
                seen.whole += 1
                last = number
    result.send(seen)


def _proven_number(request: Request) -> int | None:
    """Return the number of a record if its path fits to all the rest of it."""
    try:
        _, number, proof, padding = request.path.split("/")
    except ValueError:
        return None
    is_padded = padding == "x" * len(padding)
    if not number.isdigit() or not is_padded or len(proof) != _HASH_DIGITS:
        return None
    expected = _proof(int(number), request.duration_us, request.status).decode()
    return int(number) if proof == expected else None


def _proof(number: int, duration_us: int, status: int) -> bytes:
    told = b"%d %d %d" % (number, duration_us, status)
    return hashlib.sha1(told).hexdigest()[:_HASH_DIGITS].encode()
