"""The plan as a drawing: a lane for each step of the algorithm, stages in layers from left to right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.report.record import StageRow, caption, counted_seconds
from mt.workflow.position import EVALUATION, Position

WIDTH, HEIGHT = 182, 44
"""Size of a node, in CSS pixels."""
GAP_X, GAP_Y, LANE_GAP, LANE_TOP, PADDING = 30, 10, 12, 32, 12
_UNNAMED = "other"
_COLUMNS = 5
"""Columns of a row of lanes: short lanes of one iteration stand beside each other."""
_CHARACTERS = 24


@dataclass(frozen=True)
class StageBox:
    """A stage at its place; `title` and `detail` are the two lines of text inside."""

    key: str
    title: str
    detail: str
    state: str
    shared: bool
    x: int
    y: int


@dataclass(frozen=True)
class Lane:
    """A band that holds the stages of one step."""

    title: str
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Edge:
    """An input of a stage, as an SVG path."""

    source: str
    target: str
    path: str


@dataclass(frozen=True)
class Graph:
    """Everything that the drawing shows, in CSS pixels."""

    width: int
    height: int
    lanes: list[Lane]
    nodes: list[StageBox]
    edges: list[Edge]


@dataclass(frozen=True)
class Sharing:
    """What sharing saved: stages and seconds of the union, against every run on its own."""

    distinct: int
    total: int
    distinct_seconds: float
    total_seconds: float
    shared: int


@dataclass(frozen=True)
class _Layers:
    """A lane before it has a place: its columns of keys."""

    place: Position
    columns: list[list[str]]

    @property
    def width(self) -> int:
        return len(self.columns) * (WIDTH + GAP_X) - GAP_X + 2 * PADDING

    @property
    def height(self) -> int:
        return LANE_TOP + max(map(len, self.columns)) * (HEIGHT + GAP_Y) - GAP_Y + PADDING


def sharing(stages: Mapping[str, StageRow]) -> Sharing:
    """Count what the runs share; seconds are those recorded (a reused stage keeps the seconds of its making)."""
    rows = list(stages.values())
    return Sharing(
        distinct=len(rows),
        total=sum(len(row.runs) for row in rows),
        distinct_seconds=counted_seconds(rows),
        total_seconds=sum((row.seconds or 0.0) * len(row.runs) for row in rows),
        shared=sum(len(row.runs) > 1 for row in rows),
    )


def drawings(stages: Mapping[str, StageRow], n_runs: int) -> dict[str, Graph]:
    """Return the graph of the algorithm alone and, where anything is measured, the graph with the evaluation."""
    algorithm = {key: row for key, row in stages.items() if row.position.step != EVALUATION}
    both = {"the algorithm": algorithm, "with evaluation": stages}
    shown = both if 0 < len(algorithm) < len(stages) else {"all stages": stages}
    return {name: draw(part, n_runs) for name, part in shown.items()}


def draw(stages: Mapping[str, StageRow], n_runs: int) -> Graph:
    """Lay the stages out; lanes follow the algorithm, columns follow the dependencies inside a lane."""
    lanes: list[Lane] = []
    nodes: dict[str, StageBox] = {}
    y = 0
    for row in _rows(stages):
        x, height = 0, max(layers.height for layers in row)
        for layers in row:
            lanes.append(Lane(str(layers.place) or _UNNAMED, x, y, layers.width, height))
            nodes.update((node.key, node) for node in _nodes(layers, stages, n_runs, x + PADDING, y + LANE_TOP))
            x += layers.width + LANE_GAP
        y += height + LANE_GAP
    width = max((lane.x + lane.width for lane in lanes), default=0)
    return Graph(width, max(y - LANE_GAP, 0), lanes, list(nodes.values()), list(_edges(stages, nodes)))


def _rows(stages: Mapping[str, StageRow]) -> Iterator[list[_Layers]]:
    """Yield rows of lanes: those of one iteration that follow each other and together fit the width."""
    row: list[_Layers] = []
    for place, keys in _lanes(stages):
        layers = _Layers(place, _columns(keys, stages))
        used = sum(len(one.columns) for one in row)
        if row and (_time(row[0].place) != _time(place) or used + len(layers.columns) > _COLUMNS):
            yield row
            row = []
        row.append(layers)
    if row:
        yield row


def _time(place: Position) -> tuple[int, int]:
    return place.round, place.iteration


def _lanes(stages: Mapping[str, StageRow]) -> list[tuple[Position, list[str]]]:
    """Return (place, keys) by lane, in the order of the algorithm: round, iteration, first appearance."""
    members: dict[Position, list[str]] = defaultdict(list)
    for key, row in stages.items():
        members[replace(row.position, model="")].append(key)
    first = {place: number for number, place in enumerate(members)}
    return sorted(members.items(), key=lambda item: (*_time(item[0]), first[item[0]]))


def _columns(keys: Sequence[str], stages: Mapping[str, StageRow]) -> list[list[str]]:
    """Return the columns of a lane: a stage stands right of its inputs, near their height."""
    depth: dict[str, int] = {}
    for key in _topological(keys, stages):
        depth[key] = max((depth[one] + 1 for one in stages[key].upstream if one in depth), default=0)
    columns: list[list[str]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for key in keys:
        columns[depth[key]].append(key)
    height: dict[str, int] = {}
    for column in columns:
        column.sort(key=lambda key: _barycentre(stages[key], height))
        height.update({key: index for index, key in enumerate(column)})
    return columns


def _topological(keys: Sequence[str], stages: Mapping[str, StageRow]) -> list[str]:
    """Return the keys with inputs first, whatever order the records listed them in; a circle ends as it is."""
    waiting, done = dict.fromkeys(keys), dict[str, None]()
    while waiting:
        ready = [key for key in waiting if not any(one in waiting for one in stages[key].upstream)]
        for key in ready or list(waiting):
            done[key] = waiting.pop(key)
    return list(done)


def _barycentre(row: StageRow, height: Mapping[str, int]) -> float:
    places = [height[key] for key in row.upstream if key in height]
    return sum(places) / len(places) if places else float(len(height))


def _nodes(layers: _Layers, stages: Mapping[str, StageRow], n_runs: int, left: int, top: int) -> Iterator[StageBox]:
    for x_index, column in enumerate(layers.columns):
        for y_index, key in enumerate(column):
            row = stages[key]
            title = shorten(caption(row, stages))
            x, y = left + x_index * (WIDTH + GAP_X), top + y_index * (HEIGHT + GAP_Y)
            yield StageBox(key, title, _detail(row, n_runs), row.state, len(row.runs) > 1, x, y)


def _detail(row: StageRow, n_runs: int) -> str:
    digits = 1 if (row.seconds or 0) < 100 else 0
    time = f" · {row.seconds:,.{digits}f} s" if row.seconds and row.seconds >= 0.05 else ""
    runs = f" · {len(row.runs)}/{n_runs} runs" if n_runs > 1 else ""
    return f"{row.state}{time}{runs}"


def shorten(text: str, characters: int = _CHARACTERS) -> str:
    """Return the text, cut with an ellipsis where it would leave its box."""
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _edges(stages: Mapping[str, StageRow], nodes: Mapping[str, StageBox]) -> Iterator[Edge]:
    """Yield the edges; those of one node leave and arrive at points of their own, so that none hides another."""
    pairs = [(one, key) for key, row in stages.items() for one in dict.fromkeys(row.upstream) if one in nodes]
    leaving, arriving = defaultdict(list), defaultdict(list)
    for source, target in pairs:
        leaving[source].append(target)
        arriving[target].append(source)
    for source, target in pairs:
        out = (leaving[source].index(target) + 1) / (len(leaving[source]) + 1)
        into = (arriving[target].index(source) + 1) / (len(arriving[target]) + 1)
        yield Edge(source, target, _curve(nodes[source], nodes[target], out, into))


def _curve(source: StageBox, target: StageBox, out: float, into: float) -> str:
    """Return the path of an edge: sideways to a later column of its lanes, downwards to everything else."""
    if target.x > source.x and abs(target.y - source.y) < 4 * HEIGHT:
        x0, y0 = source.x + WIDTH, source.y + HEIGHT // 2
        x1, y1 = target.x, target.y + round(HEIGHT * into)
        bend = max(14, min(60, (x1 - x0) // 2))
        return f"M{x0} {y0}C{x0 + bend} {y0} {x1 - bend} {y1} {x1} {y1}"
    x0, y0 = source.x + round(WIDTH * out), source.y + (HEIGHT if target.y > source.y else 0)
    x1, y1 = target.x + round(WIDTH * into), target.y + (0 if target.y > source.y else HEIGHT)
    bend = max(16, min(90, abs(y1 - y0) // 2)) * (1 if target.y > source.y else -1)
    return f"M{x0} {y0}C{x0} {y0 + bend} {x1} {y1 - bend} {x1} {y1}"
