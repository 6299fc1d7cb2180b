"""Small charts of the pages of runs, as SVG within the page; equal numbers give equal bytes."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 320, 190, 34, 10, 34


def curve(values: Sequence[float], name: str, alt: str) -> Markup:
    """Draw shares at the whole numbers from 1 as a line, on a scale from 0 to 100 percent.

    Args:
        values: at least two shares from 0 to 1.
        name: name of the horizontal axis.
        alt: text alternative.
    """
    step = (_WIDTH - _LEFT - 10) / (len(values) - 1)
    points = " ".join(f"{_LEFT + i * step:.1f},{_y(value):.1f}" for i, value in enumerate(values))
    ticks = [(1 + i, _LEFT + i * step) for i in range(len(values)) if i == 0 or (i + 1) % 5 == 0]
    return _chart(Markup(f'<polyline points="{points}"/>'), ticks, ["0", "50", "100"], name, alt)


def histogram(shares: Sequence[float], name: str, alt: str) -> Markup:
    """Draw shares of equal ranges from 0 to 1 as bars, on a scale from 0 to the highest share.

    Args:
        shares: share of each range.
        name: name of the horizontal axis.
        alt: text alternative.
    """
    wide, top = (_WIDTH - _LEFT - 10) / len(shares), max(shares)
    bars = "".join(
        f'<rect x="{_LEFT + i * wide + 0.5:.1f}" y="{_y(share / top):.1f}" width="{wide - 1:.1f}" '
        f'height="{_y(0) - _y(share / top):.1f}"/>'
        for i, share in enumerate(shares)
    )
    ticks = [(part, _LEFT + part / 100 * (_WIDTH - _LEFT - 10)) for part in (0, 50, 100)]
    return _chart(Markup(bars), ticks, ["0", f"{50 * top:.1f}", f"{100 * top:.1f}"], name, alt)


def _chart(content: Markup, ticks: Sequence[tuple[int, float]], scale: Sequence[str], name: str, alt: str) -> Markup:
    levels = list(zip((0.0, 0.5, 1.0), scale, strict=True))
    lines = "".join(f'<path class="scale" d="M{_LEFT} {_y(y):.1f}H{_WIDTH - 10}"/>' for y, _ in levels)
    texts = "".join(f'<text x="{_LEFT - 5}" y="{_y(y) + 3:.1f}" class="end">{word}</text>' for y, word in levels)
    texts += "".join(f'<text x="{x:.1f}" y="{_y(0) + 13:.1f}" class="middle">{word}</text>' for word, x in ticks)
    return Markup(
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(alt)}">{lines}{content}'
        f'{texts}<text x="{_WIDTH - 10}" y="{_HEIGHT - 6}" class="end">{escape(name)}</text></svg>'
    )


def _y(share: float) -> float:
    return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM - 8)
