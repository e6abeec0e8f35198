"""`ssmd seal` as a process: which days it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from process import ssmd
from recorded import make_day

DAYS = ("2025-12-28", "2025-12-29", "2025-12-30")


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    for day in DAYS:
        make_day(tmp_path / "data", day, per_hour=2, sealed=False)
    return tmp_path / "data"


def sealed(storage: Path) -> list[str]:
    return sorted(path.parent.name for path in storage.glob("*/*.manifest.json"))


@pytest.mark.parametrize("before", ["2025-12-29", "20251229", "2026-W01", "2026-W01-1", "2026W01"])
def test_only_the_days_before_are_sealed_however_the_day_is_written(storage, before):
    code, out, err = ssmd("seal", storage, "--before", before)
    assert (code, len(out.splitlines()), err) == (0, 1, "")
    assert sealed(storage) == ["2025-12-28"]


@pytest.mark.parametrize("before", ["soon", "2025", "2025-12-29T00:00", "2025-13-01"])
def test_what_is_no_day_seals_nothing(storage, before):
    code, out, err = ssmd("seal", storage, "--before", before)
    assert (code, out, sealed(storage)) == (64, "", [])
    assert "it must be a day, such as 2026-01-31" in err
