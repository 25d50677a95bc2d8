"""The separation table's settings: a younger setting does not undo older cells."""

from dataclasses import asdict

import pytest

separation = pytest.importorskip("benchmarks.separation", reason="benchmarks/ is not beside tests/")


def test_cells_fit_their_settings_and_no_others():
    now = separation.Settings()
    assert separation.fits(asdict(now), now)
    older = {name: value for name, value in asdict(now).items() if not name.startswith("ff_")}
    assert separation.fits(older, now)
    assert not separation.fits(asdict(now) | {"steps": 7}, now)
    assert not separation.fits(asdict(now) | {"no longer a setting": 1}, now)


def test_every_network_is_in_the_table():
    assert set(separation.NETWORKS) < set(separation.MODELS)
    assert separation.MODELS.index("feedforward") == separation.MODELS.index("lstm") - 1
