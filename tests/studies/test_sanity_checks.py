"""What theory says of scenes: it holds in a world made by it, and planted faults break it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_selection import chip_names, network

from paperlib.evaluation import selection
from paperlib.evaluation.candidates import Candidate, Pool
from paperlib.labels import LABELS
from paperlib.profiles import profile
from paperlib.studies import sanity_checks
from paperlib.utils.errors import PaperError

HAZE = LABELS.index("haze")
GROUND = slice(4, None)


def world(*, ground: float = 3.0, haze: float = 0.5, losses=("log", "hard")) -> Pool:
    """Hazy chips hide the ground; `ground` and `haze` are what dehazed networks see of each."""
    rng = np.random.default_rng(0)
    truth = (rng.random((800, 17)) < 0.3).astype(np.uint8)
    truth[:, :4] = np.eye(4, dtype=np.uint8)[rng.integers(0, 4, 800)]
    hazy = truth[:, HAZE] == 1
    p = {}
    for seed, loss in enumerate(losses):
        for variant, sees, finds in (("original", 1.0, 2.5), ("dehazed", ground, haze)):
            seen = network(truth, 2.0, 10 * seed)
            seen[hazy, GROUND] = network(truth[hazy], sees, 10 * seed + 1)[:, GROUND]
            seen[:, HAZE] = network(truth, finds, 10 * seed + 2)[:, HAZE]
            p[Candidate(variant, loss)] = seen
    return Pool(chip_names(800), truth, p, LABELS)


def test_dehazing_as_theory_has_it_passes_and_says_so():
    said = sanity_checks.dehazing(profile("sample"), world())
    assert said.startswith("As theory has it, over 2 pair(s)")
    alone = world().only(Candidate("original", "log"), Candidate("original", "hard"))
    assert "No pair" in sanity_checks.dehazing(profile("sample"), alone)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"ground": 1.0}, "should raise the F2 of the ground's labels on hazy scenes"),
        ({"ground": 0.5}, "should raise the F2 of the ground's labels on hazy scenes"),
        ({"haze": 2.5}, "should lower the F2 of the label haze"),
    ],
)
def test_dehazing_that_does_not_behave_is_an_error(fault, told):
    with pytest.raises(PaperError, match=told):
        sanity_checks.dehazing(profile("sample"), world(**fault))
    for name in ("tiny", "planet32"):  # too few; and there it would be a result
        assert "not against" in sanity_checks.dehazing(profile(name), world(**fault))


def test_what_ridge_does_to_chips_it_was_not_fitted_on_is_said_and_a_fault_is_an_error():
    pool = world(losses=("log",))
    rng = np.random.default_rng(1)
    # a network that is not calibrated
    p = pool.probability[Candidate("original", "log")] * 0.5 + 0.2
    p = (p + 0.05 * rng.normal(size=p.shape)).clip(0, 1)
    nested = {
        kind: selection.protocol_nested(pool.truth, p, pool.names, recalibration=kind)
        for kind in ("none", "ridge")
    }
    said = sanity_checks.recalibration(profile("sample"), nested["none"], nested["ridge"])
    assert "ridge lowers the squared error" in said
    swapped = nested["ridge"], nested["none"]
    with pytest.raises(PaperError, match="more than chance or too few networks explain"):
        sanity_checks.recalibration(profile("sample"), *swapped)
    mixed = nested["ridge"].prediction.copy()
    mixed[:, 4:] = np.roll(mixed[:, 4:], 1, axis=1)  # columns in another order
    with pytest.raises(PaperError, match="more than chance or too few networks explain"):
        sanity_checks.recalibration(
            profile("sample"), nested["none"], replace(nested["ridge"], prediction=mixed)
        )
    assert "not against" in sanity_checks.recalibration(profile("tiny"), *swapped)


def test_a_small_loss_by_ridge_is_no_fault():
    """Notebook 07 alone in a fresh clone: one network, calibrated as it is."""
    pool = world(losses=("log",))
    p = pool.probability[Candidate("original", "log")]
    none = selection.protocol_nested(pool.truth, p, pool.names, recalibration="none")
    worse = none.probability + np.where(pool.truth == 1, -0.002, 0.002)
    said = sanity_checks.recalibration(
        profile("sample"), none, replace(none, probability=worse.clip(0, 1))
    )
    assert "raises the squared error" in said
    assert "notebook 05" in said
