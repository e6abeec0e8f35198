"""Functions of the standard library as they are without gevent."""

from __future__ import annotations

import subprocess
import sys

SHOW = """
from ssmd.unpatched import unpatched
import os, sys, time
sleep = unpatched("time", "sleep")
print(type(sleep).__name__, sleep is time.sleep, "gevent" in sys.modules)
"""
BUILTIN = "builtin_function_or_method"


def shown(before: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", before + SHOW], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_without_gevent_it_is_the_function_itself_and_gevent_is_not_loaded():
    assert shown("") == [BUILTIN, "True", "False"]


def test_with_gevent_it_is_the_function_that_gevent_has_replaced():
    assert shown("from gevent import monkey; monkey.patch_all()\n") == [BUILTIN, "False", "True"]
