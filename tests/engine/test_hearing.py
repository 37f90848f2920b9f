"""What is heard of tasks that run."""

from collections.abc import Mapping

from nbflow.engine.hearing import GAP, MOST_FAR, MOST_LINES, MOST_TEXT, Hearing, Item, Told
from nbflow.tasks.heard import Heard, Progress


def hearing_of(
    under_way: dict[tuple[str, int], str],
    news: list[str],
    steps: Mapping[str, tuple[str, int, int]] | None = None,
) -> Hearing:
    hearing = Hearing()
    known = steps or {}
    hearing.attach(
        lambda execution, attempt: under_way.get((execution, attempt)),
        lambda execution, attempt: known.get(execution),
        news.append,
    )
    return hearing


def test_what_is_heard_is_put_together() -> None:
    news: list[str] = []
    hearing = hearing_of({("run", 3): "Fit"}, news)
    hearing.hear(
        [Heard("run", 3, 0, "one\n", Progress(1.0, 2.0)), Heard("run", 4, 0, "of none"), Heard("x", 3)]
    )
    hearing.hear([Heard("run", 3, 4, "two\n", worker="tcp://w")])
    assert hearing.of("run") == {3: Told("Fit", "one\ntwo\n", 8, Progress(1.0, 2.0), "tcp://w", 2)}
    assert news == ["run", "run"]
    assert hearing.of("run")[3].since(5) == "wo\n"
    assert hearing.of("run")[3].since(8) == ""


def test_what_was_missed_and_what_is_long_ago_is_said() -> None:
    hearing = hearing_of({("run", 1): "Fit"}, [])
    hearing.hear([Heard("run", 1, 100, "late")])
    assert hearing.of("run")[1].printed == f"{GAP}late"
    hearing.hear([Heard("run", 1, 104, "x" * MOST_TEXT)])
    assert hearing.of("run")[1].log == f"… 104 characters before this …\n{'x' * MOST_TEXT}"


def test_an_attempt_that_has_ended_is_forgotten() -> None:
    under_way = {("run", 1): "A", ("run", 2): "B"}
    hearing = hearing_of(under_way, [])
    hearing.hear([Heard("run", 1, 0, "a"), Heard("run", 2, 0, "b")])
    hearing.over("run", 1)
    assert list(hearing.of("run")) == [2]
    del under_way["run", 2]
    assert hearing.of("run") == {}
    under_way["run", 5] = "C"
    hearing.hear([Heard("run", 5)])
    under_way["run", 2] = "B"
    assert list(hearing.of("run")) == [5], "it was forgotten when another one was heard"


def test_what_children_print_is_heard_at_the_step_of_their_map_run() -> None:
    news: list[str] = []
    steps = {"a": ("run", 7, 0), "b": ("run", 7, 12)}
    hearing = hearing_of({("run", 7): "Each", ("a", 3): "Fit"}, news, steps)
    hearing.hear(
        [Heard("a", 3, 0, "one\ntwo", Progress(1.0)), Heard("b", -1, 0, "three\n"), Heard("b", -1, 6, "")]
    )
    assert news == ["a", "run"], "of each once"
    assert hearing.of("a")[3] == Told("Fit", "one\ntwo", 7, Progress(1.0), times=1)
    assert hearing.of("b") == {}
    far = (Item(0, ("a", 3), Progress(1.0)),)
    assert hearing.of("run")[7] == Told("Each", "[0] one\n[0] two\n[12] three\n", 27, times=1, items=far)
    hearing.hear([Heard("b", -1, 90, "four\n")])
    assert hearing.of("run")[7].log.endswith("[12] three\n[12] four\n")


def test_a_map_run_in_a_map_run_is_heard_at_both() -> None:
    steps = {"inner": ("outer", 5, 1), "outer": ("run", 7, 3)}
    hearing = hearing_of({("outer", 5): "Inner", ("run", 7): "Outer"}, [], steps)
    hearing.hear([Heard("inner", 2, 0, "hello\n")])
    assert hearing.of("outer")[5].printed == "[1] hello\n"
    assert hearing.of("run")[7].printed == "[3] [1] hello\n"


def test_of_children_that_say_much_there_are_the_last_lines() -> None:
    steps = {str(number): ("run", 7, number) for number in range(2000)}
    hearing = hearing_of({("run", 7): "Each"}, [], steps)
    hearing.hear([Heard("0", 1, 0, "\n".join(map(str, range(MOST_LINES + 5))))])
    assert hearing.of("run")[7].printed.splitlines()[:2] == ["[0] …", "[0] 5"]
    hearing.hear([Heard(child, 1, 0, "a line that is not short\n" * 10) for child in steps])
    told = hearing.of("run")[7]
    assert len(told.printed) == MOST_TEXT
    assert told.log.startswith("… ")
    assert told.log.endswith("[1999] a line that is not short\n")


def test_how_far_some_children_are_is_known_while_they_run() -> None:
    steps = {str(number): ("run", 7, number) for number in range(100)}
    hearing = hearing_of({("run", 7): "Each"}, [], steps)
    for done in (1.0, 2.0):
        hearing.hear([Heard(child, 1, progress=Progress(done)) for child in reversed(steps)])

    def known() -> list[int]:
        return [item.number for item in hearing.of("run")[7].items if item.progress.done == 2.0]

    assert known() == [*range(MOST_FAR)]
    del steps["0"], steps["1"]
    assert known() == [*range(2, MOST_FAR)]
    hearing.hear([Heard("50", 1, progress=Progress(2.0))])
    assert known() == [*range(2, MOST_FAR), 50]
