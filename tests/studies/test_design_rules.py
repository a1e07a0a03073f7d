"""Design rules: one thing changed, intervals by hand, verdicts computed; the cyclical rate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from training_stand_ins import CONFIG, chips

from paperlib import published
from paperlib.chips.split import first_by_hash
from paperlib.evaluation.across_seeds import chip_scores, difference
from paperlib.networks import build, complexity
from paperlib.plots import design_rules as draw
from paperlib.profiles import PROFILES, profile
from paperlib.project import Project
from paperlib.studies import design_rules, grids
from paperlib.studies.design_rules import MISSING, RULES
from paperlib.training import schedules, train
from paperlib.training.config import Config
from paperlib.training.runs import load

pytestmark = pytest.mark.usefixtures("cache_of_the_module")


# ---- the cyclical rate ---------------------------------------------------------------------------


def test_the_triangle_by_hand():
    rate = schedules.Triangular(1.0, 5.0, 8)
    assert [float(rate(s)) for s in range(10)] == [1, 2, 3, 4, 5, 4, 3, 2, 1, 2]
    again = schedules.Triangular.from_config(rate.get_config())
    assert float(again(11)) == float(rate(3)) == 4
    odd = schedules.Triangular(0.1, 0.4, 3)
    assert [float(odd(s)) for s in range(4)] == pytest.approx([0.1, 0.3, 0.3, 0.1])
    for wrong in ((0.0, 1.0, 4), (2.0, 1.0, 4), (1.0, 2.0, 1)):
        with pytest.raises(ValueError, match=r"least|cycle"):
            schedules.Triangular(*wrong)


def test_a_cyclical_run_goes_from_a_quarter_of_its_rate_and_back(tmp_path):
    config = Config.from_dict(
        {**CONFIG.to_dict(), "schedule": "cyclical", "cycle": 2, "epochs": 3, "train_chips": 64}
    )
    run = train.train(config, chips(), tmp_path, progress=False)
    quarter, whole = config.rate / 4, config.rate
    assert run.history["rate"].tolist() == pytest.approx([quarter, whole, quarter])
    other = Config.from_dict({**config.to_dict(), "schedule": "one-cycle"})
    assert other.slug != config.slug


def test_the_new_keys_leave_the_old_runs_valid(root):
    """Every shipped run's folder still ends with the digest of its configuration."""
    folders = sorted((root / "results/planet32/runs").glob("*/config.json"))
    assert folders
    for path in folders:
        assert load(path.parent).config.slug == path.parent.name


def test_the_first_chips_by_hash_nest_and_are_not_the_splits_order():
    names = [f"chip_{i}" for i in range(50)]
    few, more = first_by_hash(names, 10), first_by_hash(names, 30)
    assert set(few) < set(more)
    assert (np.diff(few) > 0).all()
    assert first_by_hash(names, 50).tolist() == list(range(50))
    with pytest.raises(ValueError, match="count"):
        first_by_hash(names, 51)


# ---- the comparisons -----------------------------------------------------------------------------


def test_there_are_eleven_rules_and_two_sides_differ_in_what_the_rule_names():
    assert len(RULES) == len({rule.name for rule in RULES}) == 11
    allowed = {
        "application": {"network"},
        "simplicity": {"network"},
        "paths": {"network"},
        "symmetry": {"network"},
        "pyramid": {"network"},
        "over-training": {"augment"},
        "augmentation": {"augment"},
        "skips": {"network"},
        "normalisation": {"batch_norm"},
        "fine-tuning": {"weights", "rate", "batch_norm"},
        "cyclical rate": {"schedule", "plateau"},
    }
    for name in PROFILES:
        for rule in design_rules.rules(profile(name)):
            for one, other in zip(*design_rules.sides(rule, profile(name)), strict=True):
                a, b = one.to_dict(), other.to_dict()
                assert {k for k in a if a[k] != b[k]} <= allowed[rule.name], rule.name
                assert a != b
        made = grids.configs("rules", profile(name))
        assert len({c.slug for c in made}) == len(made)
    assert {len(side) for rule in RULES
            for side in design_rules.sides(rule, profile("planet32"))} == {3}  # fmt: skip


def test_the_variations_change_one_thing():
    def made(name):
        return build.build(name, size=32, width=0.125, batch_norm="all", seed=None)

    base = complexity.cost(made("vgg16"))
    skips = complexity.cost(made("vgg16-skips"))
    assert skips == base  # shortcuts weigh nothing
    flat = made("vgg16-flat")
    assert complexity.cost(flat)["multiply_adds"] == pytest.approx(base["multiply_adds"], rel=0.02)
    lopsided = complexity.cost(made("vgg16-lopsided"))
    assert lopsided["weight_layers"] == base["weight_layers"]
    short = made("vgg16-three-halvings")
    assert short.get_layer("flatten").input.shape[1:3] == (4, 4)
    assert complexity.cost(short)["weight_layers"] == base["weight_layers"]
    paths = made("vgg16-paths")
    assert [paths.get_layer(f"block{b}_conv1_join").output.shape[-1] for b in (1, 3, 5)] == [
        8,
        32,
        64,
    ]


def test_a_shortcut_adds_the_input():
    """With kernels of zero a block of shortcuts passes on what it is given."""
    model = build.build("vgg16-skips", size=32, width=0.0625, batch_norm="head", outputs=2)
    for name in ("block3_conv2", "block3_conv3"):
        layer = model.get_layer(name)
        layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    import keras

    seen = keras.Model(
        model.input,
        [model.get_layer(n).output for n in ("block3_conv1", "block3_conv3_sum")],
    )
    before, after = seen(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8))
    assert np.array_equal(before, after)
    assert np.ptp(np.asarray(after)) > 0


def test_a_rule_without_runs_is_not_compared(tmp_path):
    real = Project("planet32", root=tmp_path)
    table = design_rules.table(real)
    assert table["rule"].tolist() == [rule.name for rule in RULES]
    assert set(table["verdict"]) == {MISSING}
    assert table["difference"].isna().all()
    figure = draw.rules({"Planet chips": table})
    words = [t.get_text().strip() for t in figure.axes[0].texts]
    assert words == [MISSING] * 11


def test_the_articles_rules_are_claims_each_with_its_row():
    listed = {c["id"]: c for c in published.claims()}
    for rule in RULES:
        claim = listed[f"rule-{rule.name.replace(' ', '-')}"]
        (judged,) = claim["rule"]
        assert judged["each"] == {"rule": [rule.name]}
        assert (judged["output"], judged["sign"]) == ("design_rules.csv", 1)
        assert judged["kind"] == ("not-lower" if rule.name == "simplicity" else "sign")
        assert claim["source"] == "article"


def test_the_shipped_verdicts_follow_from_the_shipped_predictions(root):
    real = Project("planet32", root=root)
    path = real.results / "design_rules.csv"
    if not path.is_file() or not list((real.runs / design_rules.FOLDER).glob("*/run.json")):
        pytest.skip("the grid rules is not shipped yet")
    table = pd.read_csv(path).set_index("rule")
    for rule in RULES[:3]:  # each takes seconds; the others are made in the same way
        row, sides = table.loc[rule.name], design_rules.sides(rule, real.profile)
        runs = [[real.find(c, design_rules.FOLDER) for c in side] for side in sides]
        if any(run is None for side in runs for run in side):
            assert row["verdict"] == MISSING
            continue
        found = difference(*(chip_scores(side) for side in runs))
        assert row["difference"] == pytest.approx(found.value, abs=2e-6)
        assert row["verdict"] == found.verdict
