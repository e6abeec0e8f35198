"""What needs the library of an extra says how to install it."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from ssmd.errors import ConfigError
from ssmd.extras import PARQUET, S3, Extra


def test_a_missing_library_is_an_error_that_names_both_ways_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ConfigError) as refused:
        S3.load("boto3", "the bucket `ssmd`")
    assert str(refused.value) == (
        "the bucket `ssmd` needs the Python package boto3, which is not installed; run `bin/extras s3` in a checkout, "
        "and elsewhere `pip install 'ssmd[s3]'`"
    )


def test_the_module_is_returned(monkeypatch):
    module = ModuleType("toy_codec")
    monkeypatch.setitem(sys.modules, "toy_codec", module)
    assert PARQUET.load("toy_codec", "a Parquet file") is module


def test_a_module_of_ssmd_that_is_not_there_is_a_mistake_of_ours():
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'ssmd\.none'"):
        Extra("toy", "toy-codec").load("ssmd.none", "a toy")
