"""What is heard of tasks that run."""

from nbflow.engine.hearing import GAP, MOST_TEXT, Hearing, Told
from nbflow.tasks.heard import Heard, Progress


def hearing_of(under_way: dict[tuple[str, int], str], news: list[str]) -> Hearing:
    hearing = Hearing()
    hearing.attach(lambda execution, attempt: under_way.get((execution, attempt)), news.append)
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
