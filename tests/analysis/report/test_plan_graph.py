"""The plan's drawing: lanes in the order of the algorithm, inputs to the left, nothing on top of anything."""

from __future__ import annotations

import itertools
from pathlib import Path

from analysis.report.plan_graph import HEIGHT, WIDTH, draw, drawings, sharing, shorten
from analysis.report.record import StageRow, find_runs, load_run, union
from mt.workflow.position import Position

Stages = dict[str, StageRow]


def stage(key: str, step: str, *inputs: str, runs: tuple[str, ...] = ("a",), seconds: float = 1.0) -> StageRow:
    return StageRow(key, "score", Position(step=step), None, "computed", seconds, {}, {"input": inputs}, {}, runs)


def test_lanes_follow_the_algorithm(stages: Stages) -> None:
    titles = [lane.title for lane in draw(stages, 1).lanes]
    assert titles == [
        "base", "base · evaluation",
        "iteration 1 · M-step", "iteration 1 · E-step", "iteration 1 · evaluation",
        "iteration 2 · E-step", "iteration 2 · M-step", "iteration 2 · evaluation",
    ]  # fmt: skip


def test_a_stage_stands_right_of_its_inputs_in_its_lane(stages: Stages) -> None:
    nodes = {node.key: node for node in draw(stages, 1).nodes}
    for key, row in stages.items():
        for one in row.upstream:
            if stages[one].position == row.position:
                assert nodes[one].x + WIDTH < nodes[key].x


def test_nothing_lies_on_top_of_anything(stages: Stages) -> None:
    graph = draw(stages, 1)
    for a, b in itertools.combinations(graph.nodes, 2):
        assert abs(a.x - b.x) >= WIDTH or abs(a.y - b.y) >= HEIGHT
    for a, b in itertools.combinations(graph.lanes, 2):
        assert a.y + a.height <= b.y or b.y + b.height <= a.y or a.x + a.width <= b.x or b.x + b.width <= a.x
    assert all(node.x + WIDTH <= graph.width and node.y + HEIGHT <= graph.height for node in graph.nodes)


def test_every_input_is_an_edge(stages: Stages) -> None:
    edges = {(edge.source, edge.target) for edge in draw(stages, 1).edges}
    assert edges == {(one, key) for key, row in stages.items() for one in row.upstream}


def test_the_algorithm_is_drawn_without_its_evaluation(stages: Stages) -> None:
    graphs = drawings(stages, 1)
    assert list(graphs) == ["the algorithm", "with evaluation"]
    assert not any("evaluation" in lane.title for lane in graphs["the algorithm"].lanes)
    assert len(graphs["with evaluation"].nodes) == len(stages)


def test_nodes_say_which_models_they_use(stages: Stages) -> None:
    titles = {node.title for node in draw(stages, 1).nodes}
    assert {"supervised finetune → π₀", "train policy → π₁", "train reward → r₂", "sample · π₀", "score · r₁"} <= titles


def test_short_lanes_of_an_iteration_stand_beside_each_other() -> None:
    graph = draw({"a": stage("a", "base"), "b": stage("b", "evaluation", "a")}, 1)
    assert graph.lanes[0].y == graph.lanes[1].y and graph.lanes[0].x < graph.lanes[1].x


def test_records_in_any_order_and_circles_are_drawn() -> None:
    late = draw({"b": stage("b", "x", "a"), "a": stage("a", "x")}, 1)
    assert {node.key: node.x for node in late.nodes}["a"] < {node.key: node.x for node in late.nodes}["b"]
    assert len(draw({"a": stage("a", "x", "b"), "b": stage("b", "x", "a")}, 1).nodes) == 2
    assert draw({}, 1).nodes == []


def test_sharing_is_counted() -> None:
    found = sharing({"a": stage("a", "", runs=("x", "y", "z"), seconds=2.0), "b": stage("b", "", runs=("x",))})
    assert (found.distinct, found.total, found.shared) == (2, 4, 1)
    assert (found.distinct_seconds, found.total_seconds) == (3.0, 7.0)


def test_sharing_of_a_real_sweep(sweep_folder: Path) -> None:
    runs = [load_run(folder) for folder in find_runs([sweep_folder])]
    found = sharing(union(runs))
    assert found.total == sum(len(run.stages) for run in runs)
    assert found.distinct == len({row.key for run in runs for row in run.stages}) < found.total


def test_long_names_are_cut() -> None:
    assert shorten("a" * 40) == "a" * 23 + "…" and shorten("short") == "short"
