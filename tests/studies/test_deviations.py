"""The table of deviations follows the configurations."""

from __future__ import annotations

from dataclasses import replace

from paperlib.profiles import PROFILES
from paperlib.studies import deviations
from paperlib.studies.deviations import OPEN, OTHER, SAME
from paperlib.training.config import Config


def answers(config: Config) -> dict[str, str]:
    return {aspect.name: aspect.here(config)[1] for aspect in deviations.ASPECTS}


def test_the_profile_paper_is_as_printed_where_a_configuration_can_be():
    found = answers(Config.of(PROFILES["paper"]))
    for name in (
        "random transforms",
        "mean removed",
        "size of the input",
        "network",
        "first learning rate",
        "lowering the rate",
        "end of training",
    ):
        assert found[name] == SAME, name
    assert found["order of transforms and split"] == OTHER
    assert found["batch normalisation"] == OPEN


def test_a_changed_configuration_changes_its_answer():
    paper = Config.of(PROFILES["paper"])
    for name, changes in {
        "size of the input": {"size": 128},
        "first learning rate": {"rate": 1e-3},
        "lowering the rate": {"watch": "val_loss"},
        "end of training": {"patience": 5},
        "random transforms": {"augment": "paper"},
        "network": {"width": 0.5},
    }.items():
        assert answers(replace(paper, **changes))[name] == OTHER, name


def test_the_table_has_a_row_for_each_aspect_and_a_cell_for_each_profile():
    table = deviations.table()
    assert len(table) == len(deviations.ASPECTS) == len(set(table["aspect"]))
    assert set(PROFILES) <= set(table.columns)
    for name in PROFILES:
        assert sum(deviations.counts(table, name).values()) == len(table)
