"""How far two versions of an output may lie apart and still count as equal, and how that was found.

Used by `compare`, and shown on the page of `paper verify`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """How far two versions may lie apart and still count as equal, and why so far.

    name   what it is of
    rule   the rule in words, as pages show it
    why    where the number comes from
    """

    name: str
    rule: str
    why: str


#: One unit in the sixth significant digit is at most 1e-5 of a value.
RELATIVE = 1e-5
#: What is a rounding error itself (a gap of 1e-16 where theory says 0) has no digits to agree in.
ABSOLUTE = 1e-9
#: Of 255, and the fraction of pixels that may differ by more. A thin line of another colour covers
#: some thousandths of a figure, and must not pass.
CHANNEL = 8
FRACTION = 1e-4
#: Of 255, in a picture reduced to a few dozen pixels, where each is the mean of hundreds.
REDUCED = 2
#: Width in pixels at which letters are grey; of 255, and the fraction of the height.
BLURRED, BLUR, TALLER = 16, 28, 0.05

TOLERANCES = (
    Tolerance(
        "numbers in tables",
        f"the difference is at most {RELATIVE:g} of the larger value, or at most {ABSOLUTE:g}",
        "tables are written with six significant digits, and a sum in another order may end in "
        "another last one; none did so far (see what was tried)",
    ),
    Tolerance(
        "pictures",
        f"at most {FRACTION:.2%} of the pixels differ by more than {CHANNEL} of 255 in a channel; "
        f"where only a reduced copy was shipped, none of its pixels by more than {REDUCED}",
        "a number that differs in its last digits moves an edge by less than a pixel (measured: by "
        "1 of 255); a thin line in another colour covers some thousandths of a figure, and must "
        "not pass",
    ),
    Tolerance(
        "figures drawn by another version of Matplotlib",
        "the data drawn (figNN.csv: every value, colour, mark and word) are equal as numbers in "
        f"tables are; and both pictures, reduced to {BLURRED} pixels wide, have heights within "
        f"{TALLER:.0%} and no pixel apart by more than {BLUR} of 255",
        "letters of other shapes, and with them the layout, lie 2 to 20 % of the pixels apart, but "
        "the same data are drawn; so reduced, the most that was found is 14 of 255 (see what was "
        "tried), and twice that is allowed",
    ),
    Tolerance(
        "SVG and PDF files",
        "judged by the PNG of the same figure, which shows the same drawing",
        "their bytes name ids and fonts in the order of the version of Matplotlib",
    ),
)

#: What was run to find how far equal runs lie apart: what differed, and what came of it. Profile
#: tiny, notebooks 05 to 07, networks trained anew unless the line says otherwise.
TRIED = (
    ("1 thread and 1 worker, or 2 and 2", "59 of 59 outputs identical to the byte"),
    (
        "a processor with AVX-512, or the code paths of one with AVX2 alone (oneDNN, OpenBLAS, "
        "NumPy)",
        "all tables identical; of 14 figures one differs, by at most 1 of 255 in a pixel",
    ),
    (
        "scikit-learn 1.9.1 and SciPy 1.17.1, or 1.8.0 and 1.16.3 (the same networks)",
        "all outputs of notebooks 06 and 07 identical to the byte",
    ),
    (
        "Matplotlib 3.11.2, or 3.10.9 (profile sample, all notebooks, one core, one at a time)",
        "of 254 outputs 113 identical to the byte and 141 equal within tolerance; the pictures, 16 "
        "pixels wide, by up to 13 of 255 (14 in an earlier run). Two figures differed before, by "
        "33 of 255: the older version drew their shared logarithmic axes from 1 on",
    ),
)
