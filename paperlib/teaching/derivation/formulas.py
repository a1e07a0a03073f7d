"""The nine equations of the page as MathML, which every current browser draws without a font."""

from __future__ import annotations


def _row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


_OPEN, _CLOSE = (f'<mo stretchy="false">{sign}</mo>' for sign in "()")


def _name(text: str) -> str:
    return f"<mi>{text}</mi>"


def _sign(text: str) -> str:
    return f"<mo>{text}</mo>"


def _number(text: str) -> str:
    return f"<mn>{text}</mn>"


def _fraction(above: str, below: str) -> str:
    return f"<mfrac>{above}{below}</mfrac>"


def _channel(letter: str) -> str:
    """`letter` with the upper index c."""
    return f"<msup>{_name(letter)}{_name('c')}</msup>"


def _of(what: str, where: str) -> str:
    return _row(what, _OPEN, _name(where), _CLOSE)


def _ratio(letter: str, where: str) -> str:
    return _fraction(_of(_channel(letter), where), _channel("A"))


def _minimum(of: str) -> str:
    """min over the channels and the window."""
    window = _row(_name("y"), _sign("∈"), _of(_name("Ω"), "x"))
    least = '<mi mathvariant="normal">min</mi>'
    space = '<mspace width="0.2em"/>'
    return _row(
        space,
        f"<munder>{least}{_name('c')}</munder>",
        f"<munder>{least}{window}</munder>",
        space,
        of,
    )


_T, _ONE = _of(_name("t"), "x"), _number("1")
_TILDE = _of(f'<mover accent="true">{_name("t")}{_sign("~")}</mover>', "x")
_DARK = f'<msup>{_name("J")}<mi mathvariant="normal">dark</mi></msup>'
_FLOOR = _row(
    '<mi mathvariant="normal">max</mi>', _OPEN, _T, _sign(","),
    f"<msub>{_name('t')}{_number('0')}</msub>", _CLOSE,
)  # fmt: skip

EQUATIONS = {
    1: _row(_of(_DARK, "x"), _sign("="), _minimum(_of(_channel("J"), "y"))),
    2: _row(_DARK, _sign("→"), _number("0")),
    3: _row(
        _of(_name("I"), "x"), _sign("="), _of(_name("J"), "x"), _T, _sign("+"),
        _name("A"), _OPEN, _ONE, _sign("−"), _T, _CLOSE,
    ),
    4: _row(
        _ratio("I", "x"), _sign("="), _T, _ratio("J", "x"), _sign("+"), _ONE, _sign("−"), _T
    ),
    5: _row(
        _minimum(_ratio("I", "y")), _sign("="), _TILDE, _minimum(_ratio("J", "y")), _sign("+"),
        _ONE, _sign("−"), _TILDE,
    ),
    6: _row(_minimum(_ratio("J", "y")), _sign("="), _number("0")),
    7: _row(_TILDE, _sign("="), _ONE, _sign("−"), _minimum(_ratio("I", "y"))),
    8: _row(_TILDE, _sign("="), _ONE, _sign("−"), _name("ω"), _minimum(_ratio("I", "y"))),
    9: _row(
        _of(_name("J"), "x"), _sign("="),
        _fraction(_row(_of(_name("I"), "x"), _sign("−"), _name("A")), _FLOOR),
        _sign("+"), _name("A"),
    ),
}  # fmt: skip


def equation(number: int) -> str:
    """One numbered equation, HTML."""
    return (
        f'<div class="equation" tabindex="0"><math display="block">{EQUATIONS[number]}</math>'
        f"<span>({number})</span></div>"
    )
