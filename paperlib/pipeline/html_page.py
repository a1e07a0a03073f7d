"""An executed notebook as one HTML page that works from disk: pictures, style and formulas inside.

nbconvert leaves formulas as TeX and loads MathJax from the network to draw them: without a network
a reader sees raw dollars. Here they are MathML, which every current browser draws by itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import nbformat

_TAG = re.compile(r"\\tag\{([^}]*)\}")
_FROM_THE_NETWORK = re.compile(
    r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->"
    r"|<script[^>]*\ssrc=\"https?:[^>]*>\s*</script>",
    re.S,
)


def to_html(node: nbformat.NotebookNode, title: str) -> str:
    """The page as text.

    node   the executed notebook
    title  of the page
    """
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def inline_math(self, body: str) -> str:
            return mathml(body)

        def block_math(self, body: str) -> str:
            return mathml(body, block=True)

    class Page(HTMLExporter):
        def default_filters(self):
            for name, function in super().default_filters():
                yield name, self.with_formulas if name == "markdown2html" else function

        def with_formulas(self, source: str) -> str:
            renderer = Renderer(
                escape=False, embed_images=True, anchor_link_text=self.anchor_link_text
            )
            return MarkdownWithMath(renderer=renderer).render(source)

    page, _ = Page(embed_images=True).from_notebook_node(
        node, resources={"metadata": {"name": title}}
    )
    return _FROM_THE_NETWORK.sub("", page)


def mathml(formula: str, *, block: bool = False) -> str:
    """A TeX formula without its dollars as MathML; a `\\tag` stands at its right."""
    from latex2mathml.converter import convert

    tags = _TAG.findall(formula)
    shown = convert(_TAG.sub("", formula).strip(), display="block" if block else "inline")
    if not tags:
        return shown
    number = "".join(f"<span>({tag})</span>" for tag in tags)
    return (
        '<div style="display: flex; align-items: center; overflow-x: auto">'
        f'<div style="flex: 1">{shown}</div>{number}</div>'
    )
