"""The report of this checkout, `results/report.html`, as a page of this site.

It is one file that holds its own style and script, which the site's policy refuses: so it comes
with a policy of its own that names each of them by its hash, and allows nothing else.
"""

from __future__ import annotations

import html
import re
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from django.conf import settings

_STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
_SCRIPT = re.compile(r"<script[^>]*>(.*?)</script>", re.DOTALL)
_STYLE_OF_TAG = re.compile(r"<[^>]+\sstyle=\"([^\"]*)\"")
_LINK_TO_FILE = re.compile(r"(<a\b[^>]*?)\shref=\"(?!#|https?:)[^\"]*\"")


def found() -> Path | None:
    """Where the report lies; None where `paper report` has not written one."""
    path = settings.SHOWCASE["RESULTS"] / "report.html"
    return path if path.is_file() else None


def page() -> tuple[str, str]:
    """The report's text and its content security policy; `FileNotFoundError` without one."""
    path = found()
    if path is None:
        raise FileNotFoundError("report.html")
    return _page(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _page(path: Path, changed: int) -> tuple[str, str]:
    text = path.read_text("utf-8")
    # Links to files of the checkout lead nowhere from here; their words stay.
    text = _LINK_TO_FILE.sub(r"\1", text)
    return text, policy(text)


def policy(text: str, images: str = "data:") -> str:
    """A policy that lets exactly the styles and scripts work that stand in `text`.

    images  where pictures may come from; `blob:` is a file that the reader chose
    """
    styles = [*_STYLE.findall(text), *map(html.unescape, _STYLE_OF_TAG.findall(text))]
    allowed = " ".join(sorted({_hash(style) for style in styles}))
    scripts = " ".join(sorted({_hash(script) for script in _SCRIPT.findall(text)}))
    return "; ".join(
        (
            "default-src 'none'",
            f"img-src {images}",
            f"style-src 'unsafe-hashes' {allowed}" if allowed else "style-src 'none'",
            f"script-src {scripts}" if scripts else "script-src 'none'",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
