"""A wrong option is refused at once: without Keras, in one line that has the names."""

from __future__ import annotations

import subprocess
import sys

import pytest

from paperlib.losses import LOSSES
from paperlib.networks import augment, build
from paperlib.training.config import NAMES, Config


def test_the_names_are_those_that_are_made():
    assert set(NAMES["loss"]) == set(LOSSES)
    assert set(NAMES["network"]) == {*build.NAMES, *build.VARIATIONS}
    assert set(NAMES["augment"]) == set(augment.AUGMENTATIONS)


@pytest.mark.parametrize(
    "wrong",
    ["loss=focal", "network=resnet", "precision=float8", "epochs=0", "rate=nan", "dropout=1",
     "augment=more", "batch_norm=none", "size=0", "patience=0", "seed=-1", "teaching=2",
     "teaching=nan"],
)  # fmt: skip
def test_a_wrong_option_is_one_line_naming_it(wrong):
    with pytest.raises(ValueError, match=wrong.partition("=")[0]):
        Config(**Config.parse([wrong]))


def test_the_command_refuses_before_anything_is_imported():
    """Seen failing: a traceback for epochs, and for names ten seconds, then "it continues"."""
    script = (
        "import sys; from paperlib import cli\n"
        "sys.argv[1:] = ['train', '--profile', 'tiny', '--set', 'network=resnet']\n"
        "try: cli.main()\n"
        "except SystemExit as end: print(end.code, 'keras' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "False"]
    (line,) = done.stderr.splitlines()
    assert line.startswith("paper: --set network: one of vgg11, ")
