"""From a saved training run to the released model: thresholds, ridge and an honest card.

What is released is not quite what was trained: batch normalisation is folded in, the network is
written as ONNX and quantised to 8 bits. So everything the card says is measured on the released
files, read back as a user would; the float network is measured beside it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .. import predictor
from ..chips import leakage
from ..evaluation import selection
from ..networks import conversions, eight_bits, onnx_export
from ..project import Project
from ..training.config import Config
from ..training.runs import Run
from ..utils import files
from ..utils.errors import PaperError
from . import ablation

#: The paper's recalibration. Not whichever of several scores best: that would be choosing on the
#: chips that the score is reported on.
KIND = "ridge"
#: How much lower the 8-bit network's F2 may be than the float network's.
TOLERANCE = 0.0005
#: Training chips on which the 8-bit network's ranges are measured. With 122 or 256 of them single
#: validation chips leave the ranges, and a probability moves by half; the choice saw no label.
CALIBRATION = 512

LIMITS = (
    "Trained on Planet Dove scenes of the Amazon basin, 2016–2017, orthorectified chips of about "
    "950 m; on other sensors, regions or scales the probabilities mean little.",
    "Labels covered by fewer than 500 training chips (slash_burn, selective_logging, blooming, "
    "both mines, blow_down) are found unreliably: see their F2 below. With thresholds for the F2 "
    "of a chip some are never given; those for each label's own F2 find more of them.",
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
    bits: int = 8,
    folder: Path | None = None,
) -> Path:
    """Write the released model of a profile; returns its folder.

    Parameters
    ----------
    paper : Project
    config : Config, optional
        The run to release, by default the profile's own network; its weights must be at hand.
    inside : str
        The folder of `paper.runs` that the run is in.
    views : int
        Symmetries averaged at prediction, 1 to 8.
    bits : int
        8, or 32 for the float network: larger and slower, and equal to Keras' to six digits.
    folder : Path, optional
        By default `paperlib/released/<profile>/`.

    Returns
    -------
    Path

    Raises
    ------
    PaperError
        For a run that cannot be released, or whose 8-bit network scores lower than its float
        network by more than `TOLERANCE`; nothing is written then.

    Notes
    -----
    Thresholds and ridge are fitted on the validation chips; the score is that of the nested
    protocol, within which they are fitted anew for each fold. The predictions on which all this
    rests, the float network's too, go to `results/<profile>/released.npz`.
    """
    if bits not in (8, 32):
        raise ValueError(f"bits: 8 or 32, not {bits}")
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
    train, held = chips.part("train"), chips.part("validation")
    leakage.check_training(train, held)
    network, graphs = run.model(), {}
    folded = conversions.fold_batch_norm(network)
    graph = onnx_export.to_onnx(folded)
    graphs[32] = onnx_export.to_bytes(graph)
    if bits == 8:
        some = train.images[:CALIBRATION]
        graphs[8] = onnx_export.to_bytes(eight_bits.quantised(graph, some, views))

    def answers(bits: int, views: int) -> np.ndarray:
        with tempfile.TemporaryDirectory() as place:  # read back as a user would
            zeros = np.zeros(len(run.tags))
            predictor.save(place, graphs[bits], tags=run.tags, thresholds=zeros)
            raw = predictor.load(place).predict(held.images, views=views, progress=True).raw
        return raw.astype(np.float16).astype(np.float32)  # as saved, so that anyone can recompute

    def scored(raw: np.ndarray, kind: str = KIND, **how: Any) -> selection.Outcome:
        return selection.protocol_nested(
            held.labels, raw, held.names, recalibration=kind, labels=run.tags, **how
        )

    raw, exact = answers(bits, views), answers(32, views)
    whole, plain, reference = scored(raw), scored(raw, "none"), scored(exact)
    if whole.score < reference.score - TOLERANCE:
        raise PaperError(
            f"8 bits lower the F2 from {reference.score:.4f} to {whole.score:.4f}",
            "release the float network: --bits 32",
        )
    brought = ablation.gains(paper, run)
    this = "this network"
    brought["ridge recalibration"] = ablation.gain(whole, plain, this)
    brought["fitted thresholds"] = ablation.gain(whole, scored(raw, thresholds=0.2), this)
    if views > 1:
        brought[f"{views} views"] = ablation.gain(whole, scored(answers(bits, 1)), this)
    fitted = selection.System(recalibration=KIND, labels=run.tags).fit(held.names, held.labels, raw)
    own, rare = own_thresholds(held.names, held.labels, raw, run.tags)
    card = _card(paper, run, whole, plain, views, brought)
    card["scores"]["with_label_thresholds"] = rare
    card["parameters"] = int(folded.count_params())
    card["bits"] = bits
    if bits == 8:
        differ = whole.prediction != reference.prediction
        card["eight_bits"] = {
            "calibrated_on": f"{min(CALIBRATION, len(train))} training chips",
            "f2_mean_over_chips": ablation.rounded(whole.interval),
            "f2_of_the_float_network": ablation.rounded(reference.interval),
            "difference": ablation.rounded(whole.minus(reference)),
            "labels_that_differ": round(float(differ.mean()), 4),
        }
    predictor.save(
        folder,
        graphs[bits],
        tags=run.tags,
        thresholds=fitted.thresholds_,
        label_thresholds=own,
        recalibrator=fitted.recalibrator_,
        views=views,
        card=card,
    )
    files.write_arrays(
        paper.results / "released.npz",
        names=held.names,
        truth=held.labels,
        probability=raw.astype(np.float16),
        float_probability=exact.astype(np.float16),
    )
    return folder


def own_thresholds(
    names: np.ndarray, truth: np.ndarray, raw: np.ndarray, tags: tuple[str, ...]
) -> tuple[np.ndarray, dict[str, Any]]:
    """The thresholds for each label's own F2, and what they score, nested, for the card.

    Parameters
    ----------
    names : `(N,)` of the validation chips
    truth, raw : `(N, L)`; the probabilities as the network gave them

    Returns
    -------
    `(L,)`, and the F2 by chip, the F2 of each label, and how many of `N` chips each is given to.
    """
    how = {"recalibration": KIND, "labels": tags, "thresholds": "labels"}
    fitted = selection.System(**how).fit(names, truth, raw)
    outcome = selection.protocol_nested(truth, raw, names, **how)
    by_label, given = outcome.label_f2(), outcome.prediction.sum(0)
    return fitted.thresholds_, {
        "f2_mean_over_chips": ablation.rounded(outcome.interval),
        "f2_of_each_label": {
            tag: ablation.rounded((by_label.value[i], by_label.low[i], by_label.high[i]))
            for i, tag in enumerate(tags)
        },
        "chips_given_each_label": {tag: int(given[i]) for i, tag in enumerate(tags)},
    }


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
            "chips": run.metadata["chips"]["source"],
            "count": int((paper.chips().split == "train").sum()),
            "split": "sha256 of the chip's name mod 100: train 36–99, validation 20–35, test 0–19",
            "epochs": run.metadata["epochs"],
            "backend": run.metadata["backend"],
            "hardware": run.metadata["hardware"],
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
