"""Skipping a test that this machine cannot run, except where every test has to run."""

import os
from typing import NoReturn

import pytest


def skip_unless_ci(reason: str) -> NoReturn:
    """Skip the test and say `reason`; where OPSNAP_CI is set, fail it instead."""
    if os.environ.get("OPSNAP_CI"):
        pytest.fail(f"every test has to run here: {reason}", pytrace=False)
    pytest.skip(reason)
