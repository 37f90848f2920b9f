"""The static form: an image and a table, and nothing that a sanitizer would take away."""

from base64 import b64decode
from html.parser import HTMLParser

import pytest

from nbflow.drawing.html import MOST_ITEMS, StepRow, heading, rows_of, static_html
from nbflow.drawing.svg import svg
from nbflow.language.validate import parse
from nbflow.machine.trace import Trace
from tests.drawing.machines import HOSTILE, RETRY, catch, chain, mapped, scope, scripts, work
from tests.drawing.runs import ran
from tests.machine.driver import Raised
from tests.machine.test_states import by_call, echo, fails


class Tags(HTMLParser):
    """Reads HTML: its tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


ROW = StepRow("A", 0, "Task", "SUCCEEDED", 1, 1.25, "")


def test_picture_and_table() -> None:
    picture = svg(parse(HOSTILE))
    read = Tags(static_html(picture, [ROW], "report · run-1"))
    assert read.open == []
    assert {tag for tag, _ in read.tags} == {
        "div",
        "p",
        "b",
        "img",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    assert read.tags[0] == ("div", {"class": "nbflow-static"})
    [image] = [attributes for tag, attributes in read.tags if tag == "img"]
    kind, _, data = str(image["src"]).partition(",")
    assert (kind, b64decode(data).decode(), image["alt"]) == (
        "data:image/svg+xml;base64",
        picture,
        "report · run-1",
    )
    assert read.texts[0] == "report · run-1"
    assert read.texts[-5:] == ["A", "Task", "SUCCEEDED", "1", "1.25"]


def test_without_steps_there_is_no_table() -> None:
    assert "<table" not in static_html(svg(parse(chain("A"))), [], "report")


def test_everything_is_escaped() -> None:
    evil = '<script>"&\x00\ud800'
    text = static_html("<svg/>", [StepRow(evil, 1, evil, evil, 2, None, evil)], evil)
    assert "<script>" not in text
    assert text.encode()
    assert (
        Tags(text).texts.count('<script>"&��') == 5 - 1
    )  # after the title, the name has its indent before it


def test_a_long_error_is_cut() -> None:
    [error] = [
        text
        for text in Tags(static_html("", [StepRow("A", 0, "Task", "FAILED", 1, 1, "x" * 999)], "t")).texts
        if "xx" in text
    ]
    assert (len(error), error[-1]) == (200, "…")


def test_rows_of_top_level_visits() -> None:
    machine = scope(A=work("B", Retry=RETRY), B=work("D", Catch=catch("C")), C=work(), D=work())
    tasks = {"A": by_call(Raised("Boom"), 1), "B": fails("Boom", '{"errorMessage": "one\\ntwo"}'), "C": echo}
    assert rows_of(ran(machine, tasks).trace) == [
        StepRow("A", 0, "Task", "SUCCEEDED", 2, 1.0, ""),
        StepRow("B", 0, "Task", "CAUGHT", 1, 0.0, "Boom: one"),
        StepRow("C", 0, "Task", "SUCCEEDED", 1, 0.0, ""),
    ]


def test_rows_of_items_the_failed_ones_first() -> None:
    machine = scope(M=mapped(chain("I", "J"), ToleratedFailureCount=9, End=True))
    items = {"items": [{"n": n} for n in range(8)]}
    trace = ran(machine, {**scripts(machine, [1]), "I": by_call(1, 1, Raised("Boom", "why"), 1)}, items).trace
    first, *rest, last = rows_of(trace)
    assert (first.name, first.type, first.status) == ("M", "Map, 8 of 8", "SUCCEEDED")
    assert rest[0] == StepRow("[2] I", 1, "Task", "FAILED", 1, 0.0, "Boom: why")
    assert [row.name for row in rest[1:]] == ["[0] J", "[1] J", "[3] J", "[4] J"]
    assert len(rest) == MOST_ITEMS
    assert last == StepRow("… and 3 more", 1, "", "", 0, None, "")


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (None, "Boom"),
        ("why\nand more", "Boom: why"),
        ('{"errorMessage": "m", "errorType": "E"}', "Boom: m"),
        ('{"other": 1}', 'Boom: {"other": 1}'),
        ("[1]", "Boom: [1]"),
    ],
)
def test_the_error_of_a_row(cause: str | None, expected: str) -> None:
    [row] = rows_of(ran(chain("A"), {"A": fails("Boom", cause)}).trace)
    assert row.error == expected


def test_an_error_without_a_name() -> None:
    [row] = rows_of(ran(chain("A"), {"A": fails(None)}).trace)
    assert row.error == "an error without a name"


def test_heading() -> None:
    board = ran(chain("A"), {"A": echo})
    assert (
        heading("report", "run-1", board.trace)
        == "report · run-1 · SUCCEEDED in 0 s · started 1970-01-01 00:16:40 UTC"
    )
    pending = Trace(parse(chain("A")))
    assert heading("report", "run-1", pending) == "report · run-1 · PENDING"
    origin = "forked from run-0 at A"
    assert heading("report", "run-1", pending, origin) == f"report · run-1 · PENDING · {origin}"
