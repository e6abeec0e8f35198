"""The figures of one day, taken from its manifest."""

from __future__ import annotations

import pytest
from recorded import DAY, make_day

from ssmd.proof.seal import seal
from ssmd.reports.figures import coverage_of
from ssmd.store.inventory import data_files
from ssmd.store.layout import manifest_path
from ssmd.store.manifest import Manifest
from ssmd.store.manifest_file import read_manifest
from ssmd.store.timestamps import day_begins


def manifest_of(path) -> Manifest:
    manifest = read_manifest(manifest_path(path.parent, "kalshi"))
    assert manifest is not None
    return manifest


@pytest.mark.parametrize("seconds", [3, 0.04, 0.000001])
def test_the_coverage_of_a_day_with_a_short_outage_is_below_100(tmp_path, seconds):
    path = make_day(tmp_path, "2026-09-21", connected=[(0, 40_000, "stopped"), (40_000 + seconds, DAY, "stopped")])
    manifest = manifest_of(path)
    assert manifest.gaps is not None
    assert [gap.seconds for gap in manifest.gaps] == [seconds]
    assert manifest.coverage_percent is not None
    assert manifest.coverage_percent < 100
    coverage = coverage_of(manifest)
    assert coverage == pytest.approx(100 - seconds / 864, abs=1e-12)
    assert coverage is not None
    assert coverage < 100


def test_the_coverage_of_a_day_without_outages_is_exactly_100(tmp_path):
    assert coverage_of(manifest_of(make_day(tmp_path, "2026-09-21"))) == 100


def test_the_coverage_of_a_sealed_day_without_a_ledger_is_unknown(tmp_path):
    path = make_day(tmp_path, "2026-09-21")
    whole = manifest_of(path)
    path.with_name("kalshi.manifest.json").unlink()
    path.with_name("kalshi.ledger.jsonl").unlink()
    [file] = data_files([path])
    without = seal(file, day_begins("2026-09-23"))
    assert without is not None
    assert without.lines == whole.lines
    assert coverage_of(without) is None
    assert (without.gaps, without.listened_seconds, without.coverage_percent) == (None, None, None)
