"""An executed notebook as one HTML page that works from disk: pictures, style and formulas inside.

nbconvert leaves formulas as TeX and loads MathJax from the network to draw them: without a network
a reader sees raw dollars. Here they are MathML, which every current browser draws by itself.

Cells that only make sentences show the sentences, and their code on demand. Tables have thousands
separators and no running number in front; figures stand at a size whose letters can be read. The
executed notebook beside the page stays as it was run.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from typing import Any

import nbformat

#: Letters of 9 points, drawn for 160 pixels an inch and shown at half of that, are 10 pixels high;
#: enlarged by this they are as high as the text around them.
ENLARGED = 1.4
_TAG = re.compile(r"\\tag\{([^}]*)\}")
_OPERATOR = re.compile(r"\\(min|max)_")
_TEMPLATE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}<style>STYLE</style>{%- endblock -%}
{%- block input_group -%}
{%- if cell.metadata.get('sentences') -%}
<details class="sentences"><summary>code of these sentences</summary>{{ super() }}</details>
{%- else -%}{{ super() }}{%- endif -%}
{%- endblock -%}
"""


def to_html(node: nbformat.NotebookNode, title: str) -> str:
    """A page of its own: pictures, style and formulas inside the file."""
    from bs4 import BeautifulSoup

    from . import pages

    template = _TEMPLATE.replace("STYLE", pages.text("notebook.css"))
    page, _ = _exporter(template).from_notebook_node(
        prepared(node), resources={"metadata": {"name": title}}
    )
    soup = BeautifulSoup(page, "html.parser")
    for table in soup.select("table"):
        _tidy_table(table)
    for picture in soup.select(".jp-RenderedImage img[width]"):
        picture["width"] = str(round(float(picture["width"]) * ENLARGED))
        picture.attrs.pop("height", None)
    return str(soup)


def prepared(node: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy whose parameters cell holds what was set, once, and whose sentence cells are marked.

    Papermill puts a second cell with the parameters after the notebook's own; a reader wants the
    values that were used, in one place.
    """
    node = copy.deepcopy(node)
    given = next((c for c in node.cells if _tagged(c, "injected-parameters")), None)
    for cell in node.cells:
        if given is not None and _tagged(cell, "parameters"):
            cell.source = _with_values(cell.source, given.source)
        if cell.cell_type == "code" and only_sentences(cell.source):
            cell.metadata["sentences"] = True
    node.cells = [cell for cell in node.cells if cell is not given]
    return node


def _tagged(cell: nbformat.NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def _with_values(source: str, given: str) -> str:
    """The assignments of a parameters cell with the values that a second cell gives."""
    try:
        values = {s.targets[0].id: s for s in ast.parse(given).body if isinstance(s, ast.Assign)}
        own = ast.parse(source).body
    except (SyntaxError, AttributeError):
        return f"{source}\n{given}"
    lines = source.splitlines()
    for statement in reversed(own):
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if isinstance(target, ast.Name) and (new := values.get(target.id)):
            first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
            rest = lines[last - 1][statement.end_col_offset :]  # a comment behind it stays
            lines[first:last] = [ast.unparse(new) + rest]
    return "\n".join(lines)


def only_sentences(source: str) -> bool:
    """Whether a cell ends in Markdown of its own making, and draws and saves nothing."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False
    last = body[-1].value if body and isinstance(body[-1], ast.Expr) else None
    calls = [n.func for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)]
    made = {f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in calls}
    return (
        isinstance(last, ast.Call)
        and isinstance(last.func, ast.Name)
        and last.func.id == "Markdown"
        and not made & {"save_table", "save_figure", "save_json", "show", "display"}
    )


# ---- formulas ------------------------------------------------------------------------------------


def mathml(formula: str, *, block: bool = False) -> str:
    """A TeX formula without its dollars as MathML; a `\\tag` stands at its right."""
    from latex2mathml.converter import convert

    tags, plain = _TAG.findall(formula), _TAG.sub("", formula).strip()
    # The converter sets what belongs under an operator beside it.
    limits = _OPERATOR.sub(r"\\\1\\limits_", plain) if block else plain
    shown = convert(limits, display="block" if block else "inline")
    if not tags:
        return shown
    number = "".join(f"<span>({tag})</span>" for tag in tags)
    return (
        '<div style="display: flex; align-items: center; overflow-x: auto">'
        f'<div style="flex: 1">{shown}</div>{number}</div>'
    )


def _exporter(template: str) -> Any:
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def block_math(self, body: str) -> str:
            return mathml(body, block=True)

        def inline_math(self, body: str) -> str:
            return mathml(body)

    class Page(HTMLExporter):
        def default_filters(self) -> Iterator[tuple[str, Any]]:
            for name, function in super().default_filters():
                yield name, self.with_formulas if name == "markdown2html" else function

        def with_formulas(self, source: str) -> str:
            renderer = Renderer(
                escape=False, embed_images=True, anchor_link_text=self.anchor_link_text
            )
            return MarkdownWithMath(renderer=renderer).render(source)

    return Page(embed_images=True, raw_template=template)


# ---- tables --------------------------------------------------------------------------------------


def _tidy_table(table: Any) -> None:
    """Take a data frame's running number away, and set thousands apart in whole numbers."""
    rows = table.select("tbody tr")
    heads = [row.find("th") for row in rows]
    numbered = [h.get_text(strip=True) if h else "" for h in heads]
    if rows and numbered == [str(n) for n in range(len(rows))]:
        for head in (*heads, *(row.find("th") for row in table.select("thead tr"))):
            if head is not None:
                head.extract()
    names = [c.get_text(strip=True) for c in table.select("thead tr:last-child th")]
    for row in rows:
        cells = row.find_all(["th", "td"])
        for place, cell in enumerate(cells):
            text = cell.get_text(strip=True)
            name = names[place] if len(names) == len(cells) else ""
            if re.fullmatch(r"-?\d{4,}", text) and name not in {"year", "seed"}:
                cell.string = f"{int(text):,}"
            if re.fullmatch(r"[-+−]?[\d,]+(\.\d+)?(e[-+]?\d+)?", text):
                cell["class"] = [*cell.get("class", []), "number"]
