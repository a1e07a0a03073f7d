"""Parameters of notebooks as a command line gives them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from ..utils.errors import PaperError


def literals(pairs: Sequence[str]) -> dict[str, Any]:
    """`["epochs=3", "network=vgg16"]` -> values; what is no Python literal is a text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise PaperError(f"--set {pair}: not NAME=VALUE", "write --set epochs=3")
        if name in {"profile", "data"}:
            raise PaperError(f"--set {pair}", f"use --{name}")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found
