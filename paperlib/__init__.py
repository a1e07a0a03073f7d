"""A reproducible paper: dehazed satellite chips, VGG-16 per label, F2 and ridge recalibration.

Five public modules, each readable on its own::

    from paperlib import dehaze, f2, losses, predictor, ridge

They stand on `labels` (the 17 tags), `profiles` (named set-ups) and `published` (what the paper
prints). Around them are rooms; a room imports only rooms above it in this list, and `make lint`
holds that:

utils       errors, atomic files, caches, paths, the machine; knows nothing of the paper
dehaze      the dark channel prior: equations, fast kernels, scenes larger than memory
chips       images with labels and a split: Planet, UC Merced, generated scenes; leakage checks
networks    VGG and its successors: built, counted, converted, made smaller
predictor   the released model: images in, labels out
training    one configuration and chips -> one saved run; the only room that trains
plots       one module for each notebook, of the same stem; draws, computes nothing
project     one profile's folders, chips, runs, figures and tables: what a notebook opens first
evaluation  choice per label, recalibration, thresholds, on both protocols
teaching    what notebooks 01-04 and 10 show, a module of the same stem for each
studies     what the result notebooks compute, a module of the same stem for each; the grids
pipeline    runs the notebooks by papermill; verdicts, report, the README's generated parts
cli         the `paper` command

From a figure to its code: `fig06_labels` is made by `notebooks/06_dehazing.ipynb`, which computes
with `studies/dehazing.py` and draws with `plots/dehazing.py`.
"""

__version__ = "0.1.0"
