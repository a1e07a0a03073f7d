"""`python -m paperlib.teaching.derivation`: write `derivation.html` from its parts."""

from ...utils import files
from . import PAGE, build

files.write_text(PAGE, build())
