"""Doing something as a user who may not read what root may."""

import json
import os
import warnings
from collections.abc import Callable
from typing import Any

_NOBODY = 65_534


def without_rights(work: Callable[[], Any]) -> Any:
    """Return what `work` returns (as JSON can carry it) where file permissions apply.

    Root reads everything, so as root it is done in a child process of user "nobody": forked and
    not started anew, because the interpreter itself may be out of that user's reach. What `work`
    needs has to be imported before.
    """
    if os.geteuid() != 0:
        return work()
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        # From Python 3.12 on a fork beside threads is warned of; the child touches none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _work_and_exit(work, write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, told.decode()
    return json.loads(told)


def _work_and_exit(work: Callable[[], Any], write_end: int) -> None:
    code, told = 1, ""
    try:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
        told, code = json.dumps(work()), 0
    except BaseException as error:  # noqa: BLE001 - it is raised in the parent
        told = repr(error)
    finally:
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(told.encode())
        os._exit(code)
