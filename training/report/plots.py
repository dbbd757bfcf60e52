"""Learning curves as inline SVG: small, themed by the page, readable without it.

Owns the look of a curve. Invariant: every colour is a class of the page's style sheet, so light and
dark need one picture, and text stays text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 54, 12, 26  # margins
LABEL_GAP = 13  # least distance of two labels at the end of lines


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart; low and high shade an interval around it and are empty without one."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A finished picture. legend: names of its lines; words: what it shows, in a sentence."""

    title: str
    svg: str
    legend: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class _Frame:
    """Data limits and how values become places in the picture."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    percent: bool

    def x(self, step: float) -> float:
        share = (step - self.x_low) / (self.x_high - self.x_low)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self.y_low) / (self.y_high - self.y_low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def text(self, value: float) -> str:
        if self.percent:
            return f"{100 * value:.0f} %"
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def draw(title: str, series: Sequence[Series], percent: bool = False) -> Chart:
    """One small chart over training steps, each line labelled with its last value.

    Raises:
        ValueError: without a value to draw.
    """
    lines = [line for line in series if line.steps]
    if not lines:
        raise ValueError(f"chart {title!r} has no values")
    frame = _frame(lines, percent)
    words = ", ".join(
        f"{line.name} {frame.text(line.values[0])} → {frame.text(line.values[-1])}"
        for line in lines
    )
    parts = _axes(frame)
    for index, line in enumerate(lines):
        parts += _line(frame, line, index)
    parts += _end_labels(frame, lines)
    label = escape(f"{title}: {words}", quote=True)
    opening = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
    svg = "\n".join([opening, *parts, "</svg>"])
    return Chart(title, svg, tuple(line.name for line in lines), words)


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten) that cover [low, high]."""
    raw = max(high - low, 1e-12) / count
    scale = 10 ** math.floor(math.log10(raw))
    unit = next(step * scale for step in (1, 2, 5, 10) if step * scale >= raw * 0.999)
    first, last = math.floor(low / unit + 1e-9), math.ceil(high / unit - 1e-9)
    return [round(place * unit, 12) for place in range(first, last + 1)]


def _frame(lines: Sequence[Series], percent: bool) -> _Frame:
    steps = [step for line in lines for step in line.steps]
    values = [v for line in lines for v in (*line.values, *line.low, *line.high)]
    low, high = (0.0, 1.0) if percent else (min(values), max(values))
    if high - low < 1e-9:
        low, high = low - max(0.5, abs(low) / 10), high + max(0.5, abs(high) / 10)
    ticks = nice_ticks(low, high, 4)
    x_low, x_high = min(steps), max(steps)
    return _Frame(x_low, max(x_high, x_low + 1), ticks[0], ticks[-1], percent)


def _axes(frame: _Frame) -> list[str]:
    right = WIDTH - RIGHT
    parts = []
    for tick in nice_ticks(frame.y_low, frame.y_high, 4):
        y, text = frame.y(tick), frame.text(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{y + 3.5}">{text}</text>')
    for tick in nice_ticks(frame.x_low, frame.x_high, 5):
        if frame.x_low <= tick <= frame.x_high and tick == int(tick):
            x = frame.x(tick)
            parts.append(f'<text class="tick mid" x="{x}" y="{HEIGHT - 10}">{tick:.0f}</text>')
    return parts


def _line(frame: _Frame, line: Series, index: int) -> list[str]:
    places = [(frame.x(s), frame.y(v)) for s, v in zip(line.steps, line.values, strict=True)]
    parts = []
    if line.low:
        above = [f"{frame.x(s)},{frame.y(v)}" for s, v in zip(line.steps, line.high, strict=True)]
        below = [f"{frame.x(s)},{frame.y(v)}" for s, v in zip(line.steps, line.low, strict=True)]
        parts.append(f'<polygon class="band c{index}" points="{" ".join(above + below[::-1])}"/>')
    points = " ".join(f"{x},{y}" for x, y in places)
    parts.append(f'<polyline class="curve c{index}" points="{points}"/>')
    for (x, y), step, value in zip(places, line.steps, line.values, strict=True):
        seen = "dot" if len(places) < 15 or step == line.steps[-1] else "hover"
        tip = f"<title>{escape(line.name)}, step {step}: {frame.text(value)}</title>"
        parts.append(f'<circle class="{seen} c{index}" cx="{x}" cy="{y}" r="3">{tip}</circle>')
    return parts


def _end_labels(frame: _Frame, lines: Sequence[Series]) -> list[str]:
    """The last values beside their lines, moved apart where they would overlap."""
    order = sorted(range(len(lines)), key=lambda i: frame.y(lines[i].values[-1]))
    floor, parts = -math.inf, []
    for index in order:
        line = lines[index]
        y = max(frame.y(line.values[-1]), floor)
        floor = y + LABEL_GAP
        text = escape(frame.text(line.values[-1]))
        x = frame.x(line.steps[-1]) + 8
        parts.append(f'<text class="value c{index}" x="{x}" y="{round(y + 4, 1)}">{text}</text>')
    return parts
