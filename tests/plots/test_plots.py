"""Figures: every function draws, equal figures are equal bytes, and the style is ours."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

from paperlib import f2, plots
from paperlib.evaluation import calibration
from paperlib.labels import LABELS
from paperlib.plots import dehazing, networks, results, ridge, train, vggnet
from paperlib.plots import f2_score as scoring
from paperlib.teaching import f2_score

L = len(LABELS)
RNG = np.random.default_rng(0)


def intervals(n: int, **columns: object) -> pd.DataFrame:
    middle = RNG.uniform(0.3, 0.9, n)
    return pd.DataFrame({**columns, "f2": middle, "low": middle - 0.05, "high": middle + 0.05})


def table1() -> pd.DataFrame:
    parts = []
    for name in ("own_nested", "own_paper", "system_nested", "precision", "recall"):
        part = intervals(L).rename(
            columns={"f2": name, "low": f"{name}_low", "high": f"{name}_high"}
        )
        part.loc[0] = np.nan
        parts.append(part)
    frame = pd.concat(parts, axis=1)
    frame.loc[3, ["precision", "precision_low", "precision_high"]] = np.nan  # never given
    frame = frame.assign(label=LABELS, chips=np.arange(L) * 7, published=0.5, own_given=3)
    frame.loc[5, "own_nested"] = frame.loc[6, "system_nested"] = 0.0  # no hit, and never given
    return frame.assign(system_given=np.where(np.arange(L) == 6, 0, 3))


def chosen() -> pd.DataFrame:
    frame = pd.DataFrame({"label": LABELS, "all": RNG.random(L)})
    for fold in range(5):
        frame[f"fold_{fold}"] = RNG.random(L)
    frame.loc[2, "fold_1"] = np.nan
    frame.loc[3, frame.columns[1:]] = np.nan  # never given
    return frame


def overall() -> pd.DataFrame:
    pairs = [(s, p) for s in ("none", "lasso", "ridge") for p in ("paper", "nested", "test")]
    return intervals(9, system=[s for s, _ in pairs], protocol=[p for _, p in pairs])


def differences() -> pd.DataFrame:
    frame = overall().rename(columns={"f2": "difference"})
    return frame[frame["system"] != "none"]


def history() -> pd.DataFrame:
    fall = np.exp(-np.arange(6) / 2)
    return pd.DataFrame(
        {"epoch": range(6), "loss": fall, "val_loss": fall + 0.1, "val_f2": 1 - fall, "rate": fall}
    )


def label_counts() -> pd.DataFrame:
    counts = RNG.integers(0, 5000, (L + 1, 3))
    frame = pd.DataFrame(counts, columns=["train", "validation", "test"])
    frame.insert(0, "label", [*LABELS, "chips"])
    return frame


def effect(columns: int) -> pd.DataFrame:
    frame = intervals(L, label=LABELS).rename(columns={"f2": "difference"})
    frame[["difference", "low", "high"]] -= 0.6
    for seed in range(1, columns):
        frame[f"seed {seed}"] = frame["difference"] + 0.01
    return frame


def vgg_counts() -> pd.DataFrame:
    rows = [(n, 16, 10_000_000, 120_000_000, 130_000_000, 130) for n in "AD"]
    names = "configuration weight_layers convolutional dense total published_millions"
    return pd.DataFrame(rows, columns=names.split())


def chips(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    truth = (RNG.random((n, L)) < 0.3).astype(np.uint8)
    return truth, np.clip(truth * 0.4 + RNG.random((n, L)) * 0.6, 0, 1)


def _threshold_curves() -> Figure:
    truth, p = chips()
    grid = np.linspace(0, 1, 21)
    best = f2.label_thresholds(truth, p)
    curves = f2_score.threshold_curve(truth, p, grid)
    bands = {3: (curves[:, 3] - 0.1, curves[:, 3] + 0.1)}
    together = np.where(np.arange(L) == 4, np.nan, best)  # never given
    return scoring.threshold_curves(grid, curves, best, together, LABELS, truth.sum(0), bands)


def _losses() -> Figure:
    score, truth = f2_score.world(chips=300)
    what = f2_score.Learnt(2.5, -2.2, 0.8, 0.6, 0.65)
    return scoring.losses_on_one_label(score, truth, dict.fromkeys(("log", "f2", "hard"), what))


def _by_label(columns: int, found: bool = True) -> Figure:
    systems = ("original", "dehazed", "choice per label")
    scores = pd.concat([intervals(L, label=LABELS, chips=9, system=s) for s in systems])
    scores.iloc[4, scores.columns.get_loc("f2")] = 0.0  # no hit
    frame = effect(columns)
    if not found:
        frame[["difference", "low", "high"]] = np.nan
    if columns > 2:
        frame = frame.rename(columns={"seed 2": "seed 0 of VGG-16 × 0.125, 12 epochs"})
    return dehazing.by_label(scores, frame, {"water": 1, "haze": -1}, "VGG-16; log loss")


def _seeds(networks: str = "a") -> pd.DataFrame:
    rows = {"system": ["original"] * 3, "seed": range(3), "f2": [0.5, 0.6, 0.7]}
    return pd.DataFrame({**rows, "networks": networks})


def _weather() -> pd.DataFrame:
    frame = intervals(6, weather=["haze", "clear"] * 3, chips=9, networks="a", seed=0)
    frame["loss"] = ["log"] * 2 + ["f2"] * 2 + ["log"] * 2
    frame.loc[4:, ["networks", "seed"]] = ["b", 1]
    return frame.rename(columns={"f2": "difference"})


def _gains(*networks: str) -> pd.DataFrame:
    n = len(networks)
    frame = intervals(
        4 * n, networks=list(networks) * 4, comparison="ridge minus none", candidates=6
    )
    frame.loc[2 * n :, "comparison"] = "ridge minus lasso"
    return frame.rename(columns={"f2": "difference"})


def _pairs() -> pd.DataFrame:
    frame = intervals(4, networks=["a", "a", "a", "b"], loss=["log", "log", "f2", "log"])
    return frame.rename(columns={"f2": "difference"}).assign(seed=[0, 1, 0, 0])


def _flow() -> Figure:
    names = [f"{v}, {loss}" for v in ("original", "dehazed") for loss in ("log", "f2")]
    scores = pd.concat(
        [intervals(4, candidate=names, networks=n).assign(seed=s) for n in "ab" for s in (0, 1)]
    )
    choices = pd.DataFrame(
        {"label": LABELS, "candidate": [names[i % 4] for i in range(L)], "fraction": 0.6}
    )
    made = {"labels": (0.8, 0.7, 0.9), "without ridge": (0.79, 0.7, 0.9)}
    sizes = {"train": 9, "test": 0}
    return train.training_and_prediction(scores, choices, ("ridge",), made, sizes, "a")


def _reliability() -> Figure:
    curve = calibration.reliability(*chips())
    by_group = dict.fromkeys(("all labels", "weather", "common", "rare"), curve)
    return results.reliability({"network": by_group}, {"network": (0.1, 0.05, 0.2)}, 10)


def _reliability_alone() -> Figure:
    curve = calibration.reliability(*chips())
    return results.reliability(
        {"network": {"all labels": curve}}, {"network": (0.1, 0.05, 0.2)}, 10
    )


def _normalisation() -> Figure:
    names = "gain network layer deviation"
    rows = [(g, n, k, g**k) for g in (0.7, 1.4) for n in ("plain", "normalised") for k in (1, 2)]
    values = RNG.normal(size=(6, 50))
    return networks.normalisation(values, values / 2, pd.DataFrame(rows, columns=names.split()))


FIGURES: dict[str, Callable[[], Figure]] = {
    "vgg": lambda: vggnet.vgg_configurations(
        {"A": ((3,), (3, 1)), "D": ((3, 3), (3, 3))}, (64, 128), vgg_counts()
    ),
    "kernels": lambda: vggnet.kernels(
        [
            {"kernel": 7, "layers": 1, "parameters": 49e6, "receptive_field": 7},
            {"kernel": 3, "layers": 3, "parameters": 27e6, "receptive_field": 7},
        ]
    ),
    "f2": lambda: scoring.f2_weighs(
        np.arange(9), f2.from_counts(2, np.arange(9), 0), f2.from_counts(2, 0, np.arange(9)), 2
    ),
    "threshold_curves": _threshold_curves,
    "losses": _losses,
    "label_counts": lambda: train.label_counts(label_counts()),
    "learning": lambda: train.learning_curves(history(), 4),
    "candidates": lambda: train.all_curves({"original, log": history(), "a, b": history()}),
    "table1": lambda: results.table1(table1()),
    "overall": lambda: results.overall(overall(), 0.92832, 0.69),
    "overall_grouped": lambda: results.overall(
        overall().assign(networks=["a"] * 6 + ["b"] * 3), 0.92832, 0.69, _seeds()
    ),
    "precision_recall": lambda: results.precision_recall(table1()),
    "reliability": _reliability,
    "reliability_alone": _reliability_alone,
    "thresholds": lambda: results.thresholds(chosen(), chosen()),
    "recalibration": lambda: ridge.overall(overall(), differences()),
    "recalibration_lasso": lambda: ridge.overall(
        overall(),
        differences(),
        differences()[differences()["system"] == "ridge"],
        _gains("b"),
        "a",
    ),
    "correlations": lambda: ridge.correlations(
        {"a": calibration.correlation(chips()[0]), "b": np.full((L, L), np.nan)}, LABELS
    ),
    "weights": lambda: ridge.weights(RNG.normal(size=(L, L)), LABELS, [(1, 2)]),
    "by_label": lambda: _by_label(3),
    "by_label_alone": lambda: _by_label(1, found=False),
    "variants": lambda: dehazing.overall(
        intervals(3, system=["original", "dehazed", "choice per label"]), _seeds(), _pairs(), "a"
    ),
    "variants_other_seeds": lambda: dehazing.overall(
        intervals(3, system=["original", "dehazed", "choice per label"]),
        pd.concat([_seeds("a")[:1], _seeds("b")]),
        _pairs(),
        "a",
    ),
    "variants_alone": lambda: dehazing.overall(
        intervals(1, system=["original"]), _seeds()[:1], _pairs()[:0], "a"
    ),
    "weather": lambda: dehazing.by_weather(_weather(), "a"),
    "weather_alone": lambda: dehazing.by_weather(_weather()[:0], "a"),
    "normalisation": _normalisation,
    "gains": lambda: ridge.gains(_gains("a", "b")),
    "flow": _flow,
    "order": lambda: dehazing.order_of_steps(
        pd.DataFrame(RNG.random((9, 2)), columns=["between", "effect"]).assign(
            source=["Planet chips"] * 3 + ["generated scenes"] * 6
        ),
        32,
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_inside_its_page(name, recwarn):
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    for ax in figure.axes:
        if ax.axison and ax.get_label() != "<colorbar>" and ax.get_xlabel() + ax.get_ylabel():
            assert ax.get_position().width > 0.1, "the axes were squeezed out"
    missing = [str(w.message) for w in recwarn if "Glyph" in str(w.message)]
    assert not missing, "a character that the font lacks"


def _names(figure: Figure) -> list[str]:
    drawn = [t.get_text() for legend in figure.legends for t in legend.get_texts()]
    return drawn + [n for ax in figure.axes for n in ax.get_legend_handles_labels()[1]]


def test_a_label_that_is_never_given_is_said_to_be_so_and_has_no_line():
    figure = _threshold_curves()
    lines = [len(ax.lines) for ax in figure.axes[:L]]
    assert lines == [2 if label == 4 else 3 for label in range(L)]
    assert [len(ax.texts) for ax in figure.axes[:L]] == [int(label == 4) for label in range(L)]
    assert len(results.thresholds(chosen(), chosen().fillna(0.5)).axes) == 2 + 1
    assert len(results.thresholds(chosen(), chosen()).axes) == 2 + 2  # a strip for each


def test_seeds_of_another_design_are_called_by_its_name():
    """A reader must not take the spread of a narrow network for that of the one drawn."""
    by_label, overall, weather, recalibrated = (
        FIGURES[name]()
        for name in ("by_label", "variants_other_seeds", "weather", "recalibration_lasso")
    )
    assert "no hit, no interval" in _names(by_label)
    assert {"other seeds", "seeds of VGG-16 × 0.125, 12 epochs"} <= set(_names(by_label))
    assert "seeds of b" in _names(overall)
    assert "each seed" not in _names(overall)
    assert "seeds of b" in _names(weather)
    assert "nested, each seed of b" in _names(recalibrated)


def test_a_matrix_has_a_colour_for_each_defined_pair_and_numbers_where_framed():
    matrix = np.linspace(-1, 1, L * L).reshape(L, L)
    matrix[2, 3] = np.nan
    ax = ridge.weights(matrix, LABELS, [(1, 2), (5, 0)]).axes[0]
    drawn = ax.collections[0].get_array()
    assert drawn.mask.sum() == 1
    assert drawn.mask.reshape(L, L)[2, 3]
    assert [t.get_text() for t in ax.texts if t.get_text()] == ["−.87", "−.41"]
    assert [p.get_xy() for p in ax.patches] == [(2, 1), (0, 5)], "frames stand over their weights"


def test_the_histogram_of_scores_counts_every_chip():
    score, truth = f2_score.world(chips=300)
    chips = _losses().axes[1]
    heights = [sum(bar.get_height() for bar in bars) for bars in chips.containers]
    assert sorted(heights) == sorted([truth.sum(), len(score) - truth.sum()])


def test_equal_figures_are_equal_bytes_in_all_formats(tmp_path):
    written = []
    for folder in ("a", "b"):
        figure = vggnet.kernels(
            [
                {"kernel": 7, "layers": 1, "parameters": 49e6, "receptive_field": 7},
                {"kernel": 3, "layers": 3, "parameters": 27e6, "receptive_field": 7},
            ]
        )
        written.append(plots.save(figure, tmp_path / folder / "fig"))
    assert [p.suffix for p in written[0]] == [".png", ".svg", ".pdf", ".csv"]
    for one, two in zip(*written, strict=True):
        assert one.read_bytes() == two.read_bytes()
    svg = written[0][1].read_text(encoding="utf-8")
    assert "<dc:date>" not in svg
    assert "conv 7×7" in svg, "text stays text"
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "fig.csv",
        "fig.pdf",
        "fig.png",
        "fig.svg",
    ]


def test_the_callers_style_does_not_matter(tmp_path):
    def draw(name: str) -> bytes:
        return plots.save(results.thresholds(system, own), tmp_path / name / "f")[0]

    system, own = chosen(), chosen()
    plain = draw("plain").read_bytes()
    with matplotlib.rc_context({"font.size": 25, "savefig.dpi": 20, "axes.grid": True}):
        assert draw("odd").read_bytes() == plain


def test_show_gives_the_saved_file(tmp_path):
    paths = plots.save(results.thresholds(chosen(), chosen()), tmp_path / "f")
    assert plots.show(paths).data == (tmp_path / "f.png").read_bytes()


def test_the_last_digits_of_the_layout_reach_no_file(tmp_path, monkeypatch):
    """Constrained layout's last digits differ between processes, as its solver's addresses do."""
    execute = ConstrainedLayoutEngine.execute

    def shaken(self, figure):
        found = execute(self, figure)
        for number, ax in enumerate(figure.axes):
            ends = ax.get_position(original=True).extents
            ax._set_position(Bbox.from_extents(ends + np.spacing(ends) * (number % 3 - 1)))
        return found

    def written(folder):
        figure = Figure(figsize=(5, 4), layout="constrained")
        for ax in figure.subplots(3, 3).flat:
            ax.plot([0, 1], [0, 1])
        return [path.read_bytes() for path in plots.save(figure, tmp_path / folder / "f")]

    before = written("before")
    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", shaken)
    assert written("after") == before
