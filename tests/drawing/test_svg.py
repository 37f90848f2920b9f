"""The picture: valid XML, everything escaped, and the handles by which a script keeps it up to date."""

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.drawing.board import PRECEDENCE, Board, StateView
from nbflow.drawing.flow import every_state
from nbflow.drawing.layout import lay_out
from nbflow.drawing.notes import note
from nbflow.drawing.style import DARK, LIGHT, ROLES, style
from nbflow.drawing.svg import svg
from nbflow.language.validate import parse
from nbflow.machine import facts
from tests.drawing import machines
from tests.drawing.machines import (
    HOSTILE,
    RETRY,
    Definition,
    chain,
    definitions,
    mapped,
    scope,
    scripts,
    work,
)
from tests.drawing.runs import board_of, ran
from tests.machine.driver import Driver, Raised
from tests.machine.test_states import by_call, echo

SVG = "{http://www.w3.org/2000/svg}"


def read(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def drawn(board: Board, now: float | None = None) -> ElementTree.Element:
    return read(svg(board.definition, board, now=now))


def state(picture: ElementTree.Element, name: str) -> ElementTree.Element:
    [found] = [each for each in picture.iter(f"{SVG}g") if each.get("data-state") == name]
    return found


def part(picture: ElementTree.Element, name: str, kind: str) -> ElementTree.Element:
    """The one element of a class in a state."""
    [found] = [each for each in state(picture, name).iter() if each.get("class") == f"nbflow-{kind}"]
    return found


@pytest.mark.parametrize("name", machines.ALL)
def test_it_is_xml_with_every_state_and_edge(name: str) -> None:
    machine = parse(machines.ALL[name])
    picture = read(svg(machine))
    assert picture.tag == f"{SVG}svg"
    layout = lay_out(machine)
    assert picture.get("viewBox") == f"0 0 {layout.width:g} {layout.height:g}"
    assert (picture.get("width"), picture.get("height")) == (f"{layout.width:g}", f"{layout.height:g}")
    assert len(list(picture.iter(f"{SVG}g"))) == len(list(every_state(machine)))
    edges = [each for each in picture.iter(f"{SVG}path") if "nbflow-edge" in each.get("class", "").split()]
    assert [each.get("class") for each in edges] == [f"nbflow-edge nbflow-{e.kind}" for e in layout.edges]
    assert "nbflow-run" not in picture.get("class", "").split()


@settings(max_examples=50, deadline=None)
@given(definitions(), st.lists(st.integers(0, 6), min_size=1, max_size=9), st.integers(0, 40))
def test_any_run_is_xml(definition: Definition, numbers: list[int], steps: int) -> None:
    board = ran(definition, scripts(definition, numbers), machines.answer(3), steps)
    picture = drawn(board, 2000.0)
    for name, view in board.states.items():
        expected = f"nbflow-state nbflow-{view.status}" if view.status else "nbflow-state"
        assert state(picture, name).get("class") == expected
        assert "".join(part(picture, name, "note").itertext()) == note(view, 2000.0)


def test_names_are_texts_and_no_markup() -> None:
    picture = read(svg(parse(HOSTILE)))
    names = [each.get("data-state") for each in picture.iter(f"{SVG}g")]
    assert sorted(map(str, names)) == sorted(
        name.replace("\x00", "�").replace("\x1b", "�") for name in HOSTILE["States"]
    )
    assert not list(picture.iter(f"{SVG}script"))
    assert {"a/States/b", "x" * 80} <= {title.text for title in picture.iter(f"{SVG}title")}


def test_conditions_and_errors_are_escaped() -> None:
    rule = {"Variable": "$.x", "StringEquals": "</text><b>&", "Next": "B"}
    machine = scope(A={"Type": "Choice", "Choices": [rule], "Default": "C"}, B=work(), C=work())
    texts = ["".join(each.itertext()) for each in read(svg(parse(machine))).iter(f"{SVG}text")]
    assert any("x = “</text><b>&”" in text for text in texts)


def test_a_label_interrupts_its_line() -> None:
    for edge in read(svg(parse(machines.POLL))).iter(f"{SVG}path"):
        kinds = edge.get("class", "").split()
        if "nbflow-edge" in kinds:
            assert edge.get("d", "").count("M") == (2 if "nbflow-choice" in kinds else 1)


def test_nothing_is_fetched() -> None:
    text = svg(parse(machines.FLIGHTS)).replace('xmlns="http://www.w3.org/2000/svg"', "")
    for word in ("http", "href", "url(", "@import", "<script", "<image", "foreignObject"):
        assert word not in text


def test_every_state_has_its_handles_also_before_it_is_entered() -> None:
    picture = read(svg(parse(machines.FLIGHTS)))
    for name in ("List months", "Each month", "Monthly", "Done"):
        assert part(picture, name, "note").text is None
        marks = [
            each.get("class", "") for each in state(picture, name) if "nbflow-mark" in each.get("class", "")
        ]
        assert marks == [f"nbflow-mark nbflow-mark-{status}" for status in ROLES]
    bar = part(picture, "Each month", "bar")
    assert (bar.get("width"), float(bar.get("data-width", "")) > 100) == ("0", True)


def test_the_bar_of_a_map_shows_what_is_done() -> None:
    items = {"items": [{"n": n} for n in range(4)]}
    board = ran(scope(M=mapped(chain("I"), End=True)), {"I": echo}, items, steps=1)
    picture = drawn(board)
    bar = part(picture, "M", "bar")
    assert float(bar.get("width", "")) == float(bar.get("data-width", "")) / 4
    assert part(picture, "M", "note").text == "1/4"
    assert state(picture, "M").get("class") == "nbflow-state nbflow-RUNNING"
    assert "nbflow-run" in picture.get("class", "").split()


def test_ways_that_were_taken() -> None:
    board = ran(chain("A", "B", "C"), {"A": echo, "B": echo, "C": echo}, steps=1)
    taken = {
        (each.get("data-source"), each.get("data-target"))
        for each in drawn(board).iter(f"{SVG}path")
        if "nbflow-taken" in each.get("class", "").split()
    }
    assert taken == {("", "A"), ("A", "B")}
    whole = ran(chain("A"), {"A": echo})
    assert svg(whole.definition, whole).count("nbflow-head nbflow-next nbflow-taken") == 2


def test_every_status_has_a_colour_and_a_mark() -> None:
    assert set(ROLES) == set(PRECEDENCE)
    assert LIGHT.keys() == DARK.keys()
    for status, role in ROLES.items():
        assert f".nbflow-{status}>.nbflow-box{{fill:{LIGHT[f'{role}-tint']}" in style()
    assert "prefers-color-scheme:dark" in style()
    assert style().count("{") == style().count("}")


def test_a_state_is_pale_only_while_it_has_not_been_entered() -> None:
    board = ran(chain("A", "B"), {"A": echo, "B": echo}, steps=0)
    assert [state(drawn(board), name).get("class") for name in "AB"] == [
        "nbflow-state nbflow-RUNNING",
        "nbflow-state",
    ]
    pale = "".join(f":not(.nbflow-{status})" for status in ROLES)
    assert f".nbflow-run .nbflow-state{pale}{{opacity" in style()


def test_a_state_that_waits_for_its_next_attempt() -> None:
    driver = Driver(scope(A=work(Retry=RETRY)), {"A": by_call(Raised("Boom"), 1)}).start()
    attempt = driver.run.frames[0].attempt
    assert attempt is not None
    driver.step(facts.TaskFailed(attempt, "Boom", "why"))
    assert state(drawn(board_of(driver)), "A").get("class") == "nbflow-state nbflow-RETRYING"


def view(**fields: object) -> StateView:
    made = StateView("S", "Task")
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("fields", "now", "expected"),
    [
        ({}, 5.0, ""),
        ({"visits": 1, "entered_at": 3.0}, 5.0, "2.0 s"),
        ({"visits": 1, "entered_at": 3.0}, None, ""),
        ({"visits": 1, "entered_at": 3.0, "exited_at": 3.25}, None, "0.25 s"),
        ({"type": "Choice", "visits": 1, "entered_at": 3.0, "exited_at": 3.0}, None, ""),
        ({"visits": 3, "entered_at": 3.0, "exited_at": 4.0}, None, "3×"),
        ({"visits": 3, "entered_at": 3.0, "counts": {"RUNNING": 1, "FAILED": 0, "RETRYING": 1}}, 5.0, "1/3"),
        (
            {"visits": 3, "entered_at": 3.0, "counts": {"RUNNING": 0, "FAILED": 2, "RETRYING": 0}},
            5.0,
            "3× · 2 ✗",
        ),
        ({"type": "Map", "visits": 1, "entered_at": 3.0, "total": 12, "done": 7}, 5.0, "7/12"),
        (
            {"type": "Map", "visits": 1, "entered_at": 3.0, "exited_at": 4.5, "total": 12, "done": 12},
            None,
            "12/12 · 1.5 s",
        ),
    ],
)
def test_note(fields: dict[str, object], now: float | None, expected: str) -> None:
    assert note(view(**fields), now) == expected
