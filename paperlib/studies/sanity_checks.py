"""What theory says of generated scenes, compared with what came out: a contradiction is an error.

Real chips may surprise, and a surprise there is a result. But the scenes' haze is made by the very
equation that dehazing turns round, and their labels go together: where dehazing or ridge does not
behave on them as it must, something is broken. Profile `tiny` has too few chips to tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import f2
from ..evaluation.selection import Outcome
from ..labels import GROUP
from ..utils.errors import PaperError

if TYPE_CHECKING:
    from ..evaluation.candidates import Candidate, Pool
    from ..profiles import Profile

Array = np.ndarray
_REPLICATES = 2000


def held(profile: Profile) -> bool:
    """Whether the profile's chips are scenes, and enough of them."""
    return profile.source == "scenes" and profile.name != "tiny"


def dehazing(profile: Profile, pool: Pool) -> str:
    """Dehazing must help to find the ground on hazy chips, and to miss the haze.

    pool  the candidates of one family and seed; of a pair that differs in its variant alone each
          loss counts alike, since one network by itself may do well or badly by chance

    Both differences are nested, of F2, dehazed minus original, with a 95 % bootstrap interval over
    chips: of the 13 labels that are not of the weather, mean over the chips labelled haze; and of
    the label haze alone, at its own threshold. Returns a sentence; raises `PaperError` where an
    interval holds 0 or lies on the wrong side of it.
    """
    if not held(profile):
        return f"Theory is compared with many generated scenes only, not against `{profile.name}`."
    pairs = pool.pairs()
    if not pairs:
        return "No pair of networks is saved: nothing can be compared with theory."
    ground, haze = _on_hazy_ground(pool, pairs), _of_haze(pool, pairs)
    if not ground.low > 0:
        raise PaperError(
            f"dehazing should raise the F2 of the ground's labels on hazy scenes, it is {ground}",
            "look for a fault in the dark channel, the scenes or the training (figure S06)",
        )
    if not haze.high < 0:
        raise PaperError(
            f"dehazing should lower the F2 of the label haze on scenes, it is {haze}",
            "look for a fault in the dark channel, the scenes or the training (figure 6)",
        )
    return (
        f"As theory has it, over {len(pairs)} pair(s): the F2 of the ground's labels on hazy "
        f"scenes changes by {ground}, that of *haze* itself by {haze}."
    )


#: What only a fault does: the error rises by more than this fraction of itself, F2 falls by more.
_ERROR_RISE, _F2_FALL = 0.1, 0.02


def recalibration(profile: Profile, none: Outcome, ridge: Outcome) -> str:
    """What ridge did to the squared error and to F2 on chips that it was not fitted on.

    none, ridge  one system's nested outcomes without recalibration and with ridge

    Ridge minimises the squared error (plus a penalty) on the chips that it is fitted on. On others
    nothing says that it must be lower: where the probabilities are calibrated already, or come from
    one network only, there is nothing to gain. So a small loss is a result, and is said. Raises
    `PaperError` only for what a fault would do, mixed columns for one: the error rises by more than
    a tenth, or F2 falls by more than 0.02, and that by the whole 95 % interval.
    """
    if not held(profile):
        return f"Theory is compared with many generated scenes only, not against `{profile.name}`."
    before = (none.probability - none.truth) ** 2
    saved = f2.mean_interval((before - (ridge.probability - ridge.truth) ** 2).mean(1))
    gain = ridge.minus(none)
    if saved.high < -_ERROR_RISE * before.mean() or gain.high < -_F2_FALL:
        raise PaperError(
            f"ridge changes the squared error by {-saved.value:+.4f} and the mean F2 by {gain}: "
            "more than chance or too few networks explain",
            "run notebook 05 first; if it is so again, look at the order of the columns",
        )
    if saved.low > 0:
        return (
            f"On chips that it was not fitted on, ridge lowers the squared error of the "
            f"probabilities by {saved}; F2 changes by {gain}."
        )
    how = "raises" if saved.high < 0 else "hardly changes"
    return (
        f"On chips that it was not fitted on, ridge {how} the squared error of the probabilities: "
        f"it saves {saved}; F2 changes by {gain}. That is no contradiction: ridge is sure to lower "
        f"the error on the chips it is fitted on only. With one network there is little to "
        f"recalibrate; notebook 05 trains the others."
    )


def _on_hazy_ground(pool: Pool, pairs: list[tuple[Candidate, Candidate]]) -> f2.Interval:
    ground = np.array([GROUP[tag] != "weather" for tag in pool.tags])
    truth = pool.truth[:, ground]
    here = (pool.truth[:, pool.tags.index("haze")] == 1) & truth.any(1)
    if here.sum() < 2:
        return f2.Interval(np.nan, np.nan, np.nan)
    score = {
        name: f2.chip_f2(truth[here], _given(pool, name, "chips")[here][:, ground])
        for pair in pairs
        for name in pair
    }
    gain = np.mean([score[b] - score[a] for a, b in pairs], axis=0)
    return f2.mean_interval(gain)


def _of_haze(pool: Pool, pairs: list[tuple[Candidate, Candidate]]) -> f2.Interval:
    column = [pool.tags.index("haze")]
    truth = pool.truth[:, column]
    change, drawn = [], []
    for pair in pairs:
        a, b = (_given(pool, name, "labels")[:, column] for name in pair)
        change.append(f2.f2_score(truth, b, "labels")[0] - f2.f2_score(truth, a, "labels")[0])
        draws = [f2.label_draws(truth, given, _REPLICATES, 0)[:, 0] for given in (a, b)]
        drawn.append(draws[1] - draws[0])
    low, high = np.quantile(np.mean(drawn, axis=0), (0.025, 0.975))
    return f2.Interval(float(np.mean(change)), float(low), float(high))


def _given(pool: Pool, one: Candidate, thresholds: str) -> Array:
    return pool.nested(one, thresholds=thresholds).prediction
