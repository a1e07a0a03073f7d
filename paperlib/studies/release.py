"""From a kept training run to the released model: thresholds, ridge and an honest card.

What is released is not quite what was trained: batch normalisation is folded in and the weights
are stored in half precision. So everything the card says is measured on the released files, read
back as a user would.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import predictor
from ..chips import leakage
from ..evaluation import selection
from ..project import Project
from ..training.config import Config
from ..training.runs import Run
from ..utils import files
from ..utils.errors import PaperError
from . import ablation

#: The paper's recalibration. Not whichever of several scores best: that would be choosing on the
#: chips that the score is reported on.
KIND = "ridge"

LIMITS = (
    "Trained on Planet Dove scenes of the Amazon basin, 2016–2017, orthorectified chips of about "
    "950 m; on other sensors, regions or scales the probabilities mean little.",
    "Labels covered by fewer than 500 training chips (slash_burn, selective_logging, blooming, "
    "both mines, blow_down) are found unreliably: see their F2 below.",
    "The labels of the training chips come from a crowd and contain mistakes.",
    "The validation chips were looked at while this network was made: the epoch that is kept, two "
    "views instead of more, and longer training by a stronger teacher after a first version were "
    "chosen on them. Its F2 there is a little optimistic.",
)


def release(
    paper: Project,
    config: Config | None = None,
    *,
    inside: str = "",
    views: int = 1,
    folder: Path | None = None,
) -> Path:
    """Write the released model of a profile; returns its folder.

    config  the run to release, by default the profile's own network; its weights must be at hand
    inside  the folder of `paper.runs` that it is kept in
    views   symmetries averaged at prediction, 1 to 8
    folder  by default `paperlib/released/<profile>/`

    Thresholds and ridge are fitted on the validation chips; the score is that of the nested
    protocol, within which they are fitted anew for each fold. The predictions on which all this
    rests go to `results/<profile>/released.npz`.
    """
    run = paper.run(config or Config.of(paper.profile), inside)
    if run.config.outputs != "all":
        raise PaperError(f"{run.config.slug} predicts one label", "release one that predicts all")
    if run.config.variant != "original":
        raise PaperError(
            f"{run.config.slug} expects dehazed chips, and the predictor is given plain ones",
            "release a network of the variant 'original'",
        )
    folder = folder or predictor.RELEASED / paper.profile.name
    chips = paper.chips()
    held = chips.part("validation")
    leakage.check_training(chips.part("train"), held)
    everything = np.zeros(len(run.tags))
    predictor.save(folder, run.model(), tags=run.tags, thresholds=everything)

    def answers(views: int) -> np.ndarray:
        raw = predictor.load(folder).predict(held.images, views=views, progress=True).raw
        return raw.astype(np.float16).astype(np.float32)  # as kept, so that anyone can recompute

    def scored(raw: np.ndarray, kind: str = KIND, **how: Any) -> selection.Outcome:
        return selection.protocol_nested(
            held.labels, raw, held.names, recalibration=kind, labels=run.tags, **how
        )

    raw = answers(views)
    whole, less = scored(raw), scored(raw, "none")
    brought = ablation.brought(paper, run)
    this = "this network"
    brought["ridge recalibration"] = ablation.gain(whole, less, this)
    brought["fitted thresholds"] = ablation.gain(whole, scored(raw, thresholds=0.2), this)
    if views > 1:
        brought[f"{views} views"] = ablation.gain(whole, scored(answers(1)), this)
    fitted = selection.System(recalibration=KIND, labels=run.tags).fit(held.names, held.labels, raw)
    predictor.save(
        folder,
        run.model(),
        tags=run.tags,
        thresholds=fitted.thresholds_,
        recalibrator=fitted.recalibrator_,
        views=views,
        card=_card(paper, run, whole, less, views, brought),
    )
    files.write_arrays(
        paper.results / "released.npz",
        names=held.names,
        truth=held.labels,
        probability=raw.astype(np.float16),
    )
    return folder


def _card(
    paper: Project,
    run: Run,
    outcome: selection.Outcome,
    less: selection.Outcome,
    views: int,
    brought: dict[str, Any],
) -> dict[str, Any]:
    by_label, config = outcome.label_f2(), run.config
    return {
        "name": paper.profile.name,
        "what": "Labels satellite chips with the 17 tags of Planet's Amazon set.",
        "network": config.to_dict(),
        "run": config.slug,
        "trained_on": {
            "chips": run.facts["chips"]["source"],
            "count": int((paper.chips().split == "train").sum()),
            "split": "sha256 of the chip's name mod 100: train 36–99, validation 20–35, test 0–19",
            "epochs": run.facts["epochs"],
            "backend": run.facts["backend"],
            "hardware": run.facts["hardware"],
        },
        "scores": {
            "protocol": "nested, 5 folds of the validation chips; 95 % bootstrap over chips",
            "chips": len(outcome.truth),
            "seeds": 1,
            "f2_mean_over_chips": ablation.rounded(outcome.interval),
            "f2_without_recalibration": ablation.rounded(less.interval),
            "recalibration_gains": ablation.rounded(outcome.minus(less)),
            "f2_of_each_label": {
                tag: ablation.rounded((by_label.value[i], by_label.low[i], by_label.high[i]))
                for i, tag in enumerate(run.tags)
            },
        },
        "recipe": {
            "VGG-16 with a head of the package": config.network == "vgg16",
            "ImageNet's mean removed": config.network == "vgg16",
            "mirror and transpose while training": config.augment != "none",
            "rotation, resize and elastic while training": config.augment == "paper",
            "transforms at prediction": views > 1,
            "log loss": config.loss == "log",
            "dehazing": config.variant != "original",
            "one model per label": config.outputs != "all",
            "choice per label": False,  # one network is released
            "ridge recalibration": KIND == "ridge",
        },
        "not_of_the_paper": {
            "starts from ImageNet's weights (the paper does not say)": bool(config.weights),
            "batch normalisation after every convolution": config.batch_norm == "all",
            "taught by a larger network": bool(config.teacher),
        },
        "brought": brought,
        "limits": list(LIMITS),
        "licence": "MIT for the weights; the chips are under the competition's own terms.",
    }
