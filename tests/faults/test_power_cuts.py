"""What publish has accepted into the flash outbox outlives the power: the short form of soak.py's power cuts."""

import pytest

from faults import scenarios


@pytest.mark.parametrize("seed", [1], ids=lambda seed: f"seed{seed}")
def test_nothing_accepted_is_lost(seed: int) -> None:
    outcome = scenarios.power_cuts(seed, 15).run()
    assert not outcome.problems()
    assert not outcome.lost
    assert outcome.sent > 100
