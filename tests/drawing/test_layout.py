"""Where boxes and edges are: nothing overlaps, and every edge goes from border to border around the others."""

from collections.abc import Iterator
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings

from nbflow.drawing import words
from nbflow.drawing.flow import scopes
from nbflow.drawing.layers import Point
from nbflow.drawing.layout import Box, Edge, Picture, lay_out
from nbflow.language import model
from nbflow.language.validate import parse
from tests.drawing import machines
from tests.drawing.machines import Definition, chain, definitions, equals, scope, work


def by_name(picture: Picture) -> dict[str, Box]:
    return {box.name or box.type: box for box in picture.boxes}


def all_scopes(machine: model.Branch, parent: str | None = None) -> Iterator[tuple[str | None, model.Branch]]:
    yield parent, machine
    for name, state in machine.states.items():
        for inner in scopes(state):
            yield from all_scopes(inner, name)


def overlap(one: tuple[float, ...], two: tuple[float, ...]) -> bool:
    """Of rectangles (left, top, right, bottom)."""
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


def area(box: Box, smaller: float = 0.0) -> tuple[float, float, float, float]:
    return (
        box.x + smaller,
        box.y + smaller,
        box.x + box.width - smaller,
        box.y + box.height - smaller,
    )


def label_area(edge: Edge) -> tuple[float, float, float, float]:
    assert edge.label_at is not None
    half = words.width_of(words.cut(edge.label, words.LABEL_WIDTH), words.LABEL_SIZE) / 2
    x, y = edge.label_at
    return (x - half, y - 7, x + half, y + 7)


def drawn(points: tuple[Point, ...]) -> Iterator[Point]:
    """Points of the line as it is drawn: what is neither vertical nor horizontal is an S."""
    for (x1, y1), (x2, y2) in pairwise(points):
        for at in range(33):
            t = at / 32
            if x1 == x2 or y1 == y2:
                yield x1 + (x2 - x1) * t, y1 + (y2 - y1) * t
            else:
                middle, u = (y1 + y2) / 2, 1 - t
                yield (
                    u**3 * x1 + 3 * u * u * t * x1 + 3 * u * t * t * x2 + t**3 * x2,
                    u**3 * y1 + 3 * u * u * t * middle + 3 * u * t * t * middle + t**3 * y2,
                )


def on_border(point: Point, box: Box) -> bool:
    (x, y), (left, top, right, bottom) = point, area(box)
    inside = left <= x <= right and top <= y <= bottom
    return inside and (min(abs(x - left), abs(x - right)) < 0.2 or min(abs(y - top), abs(y - bottom)) < 0.2)


def check(definition: Definition) -> None:
    machine = parse(definition)
    picture = lay_out(machine)
    boxes = by_name(picture)
    assert len(boxes) == len(picture.boxes)
    for box in picture.boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= picture.width
        assert box.y + box.height <= picture.height
    for parent, inner in all_scopes(machine):
        own = [boxes[name] for name in inner.states]
        if parent is None:
            own += [box for box in picture.boxes if not box.name]
        else:
            check_inside(boxes[parent], own)
        check_apart(own)
        names = set(inner.states)
        edges = [
            e for e in picture.edges if (e.source or e.target) in names and (e.target or e.source) in names
        ]
        for edge in edges:
            check_edge(edge, boxes, own)
        check_labels([edge for edge in edges if edge.label_at is not None], own)


def check_inside(parent: Box, own: list[Box]) -> None:
    left, top, right, bottom = area(parent)
    for box in own:
        assert box.depth == parent.depth + 1
        assert left < box.x
        assert top < box.y
        assert box.x + box.width < right
        assert box.y + box.height < bottom


def check_apart(own: list[Box]) -> None:
    for one, two in combinations(own, 2):
        assert not overlap(area(one), area(two)), f"{one} overlaps {two}"


def check_edge(edge: Edge, boxes: dict[str, Box], own: list[Box]) -> None:
    source, target = boxes[edge.source or "Start"], boxes[edge.target or "End"]
    assert on_border(edge.points[0], source), f"{edge} does not start at its box"
    assert on_border(edge.points[-1], target), f"{edge} does not end at its box"
    (x1, y1), (x2, y2) = edge.points[-2:]
    assert x1 == x2 or y1 == y2, f"{edge} has an arrow that is askew"
    for x, y in drawn(edge.points):
        for box in own:
            left, top, right, bottom = area(box, 0.3)
            assert not (left < x < right and top < y < bottom), f"{edge} crosses {box}"


def check_labels(edges: list[Edge], own: list[Box]) -> None:
    for edge in edges:
        assert not any(overlap(label_area(edge), area(box)) for box in own), (
            f"the label of {edge} is on a box"
        )
    for one, two in combinations(edges, 2):
        assert not overlap(label_area(one), label_area(two)), f"the labels of {one} and {two} overlap"


@pytest.mark.parametrize("name", machines.ALL)
def test_nothing_overlaps(name: str) -> None:
    check(machines.ALL[name])


@settings(max_examples=150, deadline=None)
@given(definitions())
def test_nothing_overlaps_in_any_machine(definition: Definition) -> None:
    check(definition)


def test_a_chain_is_straight() -> None:
    picture = lay_out(parse(machines.THIRTY))
    assert len({box.x + box.width / 2 for box in picture.boxes}) == 1
    assert all(len({x for x, _ in edge.points}) == 1 for edge in picture.edges)


def test_catches_leave_the_main_way_straight() -> None:
    boxes = by_name(lay_out(parse(machines.HANDLER)))
    assert len({boxes[f"S{n}"].x for n in range(12)}) == 1


def test_what_is_one_way_is_straight() -> None:
    saga, poll = lay_out(parse(machines.SAGA)), lay_out(parse(machines.POLL))
    straight = {
        ("Tickets", ""),
        ("Card", "Tickets"),
        ("Cancel hotel", "Cancel flight"),
        ("Cancel flight", "Sorry"),
    }
    for edge in saga.edges:
        if (edge.source, edge.target) in straight:
            assert len({x for x, _ in edge.points}) == 1, edge
    for edge in poll.edges:
        if edge.target in ("Failed", "Done") and edge.label_at is not None:
            assert edge.label_at[0] == edge.points[-1][0], edge


def test_rules_of_a_choice_are_in_their_order() -> None:
    picture = lay_out(parse(machines.SIX))
    boxes = by_name(picture)
    order = [*(f"Do {n}" for n in range(6)), "Unknown"]
    assert [boxes[name].x for name in order] == sorted(boxes[name].x for name in order)
    choices = [edge for edge in picture.edges if edge.kind == "choice"]
    assert [edge.label for edge in choices] == [*(f"n = {n}" for n in range(6)), "default"]


def test_branches_of_a_parallel_are_side_by_side() -> None:
    branches = [chain(f"B{n}", f"C{n}") for n in range(4)]
    boxes = by_name(lay_out(parse(scope(P={"Type": "Parallel", "Branches": branches, "End": True}))))
    assert len({boxes[f"B{n}"].y for n in range(4)}) == 1
    assert [boxes[f"B{n}"].x for n in range(4)] == sorted(boxes[f"B{n}"].x for n in range(4))


def test_a_loop_leads_back_up() -> None:
    picture = lay_out(parse(machines.POLL))
    [back] = [edge for edge in picture.edges if (edge.source, edge.target) == ("Complete?", "Wait")]
    assert back.points[0][1] > back.points[-1][1]
    assert back.label == "default"
    boxes = by_name(picture)
    assert boxes["Submit"].y < boxes["Wait"].y < boxes["Look"].y < boxes["Complete?"].y


def test_a_plain_loop_is_on_the_left() -> None:
    picture = lay_out(
        parse(
            scope(
                A=work("B"),
                B=work("C"),
                C={"Type": "Choice", "Choices": [equals(1, "D")], "Default": "A"},
                D=work(),
            )
        )
    )
    [back] = [edge for edge in picture.edges if (edge.source, edge.target) == ("C", "A")]
    assert max(x for x, _ in back.points) <= by_name(picture)["B"].x + 1


def test_links_do_not_cross_without_need() -> None:
    """A loop is usually on the left; but there the Catch leads down to the first rule's target."""
    picture = lay_out(parse(machines.POLL))
    look = by_name(picture)["Look"]
    points = {(edge.source, edge.target): edge.points for edge in picture.edges}
    assert max(x for x, _ in points["Look", "Failed"]) <= look.x
    assert min(x for x, _ in points["Complete?", "Wait"]) >= look.x + look.width


def test_a_state_that_leads_to_itself() -> None:
    check(scope(A=work("B", Catch=machines.catch("A")), B=work()))
    check(scope(A={"Type": "Choice", "Choices": [equals(1, "A")], "Default": "B"}, B=work()))


def test_start_and_end_are_dots_of_the_top_only() -> None:
    picture = lay_out(parse(machines.NESTED))
    assert [(box.type, box.depth) for box in picture.boxes if not box.name] == [("Start", 0), ("End", 0)]
    only_fails = lay_out(parse(scope(F={"Type": "Fail"})))
    assert [box.type for box in only_fails.boxes] == ["Start", "Fail"]


def test_edges_of_the_same_kind_and_target_are_one() -> None:
    choice: Definition = {"Type": "Choice", "Choices": [equals(1, "B"), equals(2, "B")], "Default": "B"}
    picture = lay_out(parse(scope(A=choice, B=work())))
    assert [edge.label for edge in picture.edges if edge.source == "A"] == ["n = 1 or n = 2 or default"]


def test_the_same_machine_gives_the_same_picture() -> None:
    assert lay_out(parse(machines.FLIGHTS)) == lay_out(parse(machines.FLIGHTS))
