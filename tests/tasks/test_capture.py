import io
import logging
import sys
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.tasks import capture
from nbflow.tasks.capture import Buffer, captured, fresh_context, routed, watch


class Kernel(io.StringIO):
    """As ipykernel's stream: told by ``set_parent`` which cell prints."""

    parent = ""

    def set_parent(self, parent: str) -> None:
        self.parent = parent

    def isatty(self) -> bool:
        return True


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "HEAD", 4)
    monkeypatch.setattr(capture, "TAIL", 3)


@dataclass(frozen=True)
class Case:
    id: str
    written: tuple[str, ...]
    text: str


BOUNDS = [
    Case("nothing", (), ""),
    Case("the head", ("ab", "cd"), "abcd"),
    Case("head and tail, no gap", ("abcdefg",), "abcdefg"),
    Case("a gap of one", ("abcdefgh",), "abcd\n… 1 characters left out …\nfgh"),
    Case("a write across the border", ("abc", "defghij"), "abcd\n… 3 characters left out …\nhij"),
    Case("letter by letter", tuple("abcdefghij"), "abcd\n… 3 characters left out …\nhij"),
    Case("a thousand", ("x" * 2_000, "y" * 2), "xxxx\n… 1,995 characters left out …\nxyy"),
    Case("a lone surrogate", ("\ud800",), "\\ud800"),
    Case("NUL", ("a\0",), "a\\0"),
]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("case", BOUNDS, ids=lambda case: case.id)
def test_long_output_keeps_its_head_and_tail(case: Case) -> None:
    buffer = Buffer()
    for text in case.written:
        buffer.write(text)
    assert buffer.text() == case.text
    assert buffer.text() == case.text, "reading changes nothing"


@given(st.lists(st.text(alphabet="ab\n", max_size=9), max_size=12))
def test_how_the_text_is_cut_into_writes_does_not_matter(written: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture, "HEAD", 4)
        patch.setattr(capture, "TAIL", 3)
        pieces, whole = Buffer(), Buffer()
        for text in written:
            pieces.write(text)
        whole.write("".join(written))
        assert pieces.text() == whole.text()


@pytest.mark.parametrize("piece", [1_000, 20_000_000], ids=["many writes", "one write"])
def test_memory_is_bounded(piece: int) -> None:
    text = "x" * piece
    buffer = Buffer()
    tracemalloc.start()
    try:
        for _ in range(20_000_000 // piece):
            buffer.write(text)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 6 * (
        capture.HEAD + 2 * capture.TAIL
    )  # four bytes a character, and what the allocator rounds up


def test_threads_print_each_to_their_own_step() -> None:
    together = threading.Barrier(4, timeout=10)

    def step(name: str) -> str:
        with captured() as log:
            for line in range(50):
                together.wait()
                print(name, line)
                print(name, "error", file=sys.stderr)
        return log.text()

    with ThreadPoolExecutor(4) as pool:
        logs = list(pool.map(step, "abcd"))
    assert logs == ["".join(f"{name} {line}\n{name} error\n" for line in range(50)) for name in "abcd"]


def test_what_is_printed_outside_of_steps_goes_to_the_real_stream(capsys: pytest.CaptureFixture[str]) -> None:
    inside, finish = threading.Event(), threading.Event()

    def step() -> None:
        with captured():
            print("step")
            inside.set()
            finish.wait(10)

    thread = threading.Thread(target=step)
    thread.start()
    assert inside.wait(10)
    print("cell")
    finish.set()
    thread.join()
    assert capsys.readouterr().out == "cell\n"


def test_what_a_step_within_a_step_prints_is_in_both() -> None:
    with captured() as outer:
        print("before")
        with captured() as inner:
            print("within")
        print("after")
    assert (outer.text(), inner.text()) == ("before\nwithin\nafter\n", "within\n")


def _raise() -> None:
    raise ValueError


@pytest.mark.parametrize("body", [lambda: None, _raise], ids=["ends", "raises"])
def test_the_streams_are_restored(body: Callable[[], None]) -> None:
    before = sys.stdout, sys.stderr
    with suppress(ValueError), captured():
        body()
    assert (sys.stdout, sys.stderr) == before


def test_the_routers_stay_between_steps() -> None:
    before = sys.stdout
    with routed():
        router = sys.stdout
        for text in ("one", "two"):
            with captured() as log:
                print(text)
            assert (log.text(), sys.stdout) == (f"{text}\n", router)
    assert router is not before
    assert sys.stdout is before


def test_whoever_prints_keeps_the_stream() -> None:
    """print() holds no reference: were the router freed at a step's end, it would write into nothing, or crash."""
    with captured():
        first = sys.stdout
    with captured():
        assert sys.stdout is first


def test_a_stream_that_somebody_else_has_put_there_stays() -> None:
    before, other = sys.stdout, io.StringIO()
    try:
        with captured():
            sys.stdout = other
        assert sys.stdout is other
    finally:
        sys.stdout = before


def test_a_redirection_that_outlives_the_step_leaves_no_router_for_good() -> None:
    before, collected = sys.stdout, io.StringIO()
    step = captured()
    step.__enter__()
    redirection = redirect_stdout(collected)
    redirection.__enter__()
    with captured() as log:
        print("second")
    step.__exit__(None, None, None)
    redirection.__exit__(None, None, None)  # puts the router of the first step back
    with captured():
        pass
    assert sys.stdout is before
    assert (log.text(), collected.getvalue()) == ("second\n", "")


def test_a_logging_handler_that_has_kept_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    monkeypatch.setattr(sys, "stderr", kernel)
    logger = logging.Logger("task")
    logger.addHandler(logging.StreamHandler())
    with captured() as log:
        logger.warning("careful")
    logger.warning("after")
    assert (log.text(), kernel.getvalue()) == ("careful\n", "after\n")


def test_a_redirection_that_ends_while_the_step_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, collected = Kernel(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", kernel)
    redirection = redirect_stdout(collected)
    redirection.__enter__()
    with captured() as first:
        with captured():
            pass
        redirection.__exit__(None, None, None)
        with captured() as log:
            print("step")
        print("first")
    assert (first.text(), log.text()) == ("step\nfirst\n", "step\n")
    assert (kernel.getvalue(), collected.getvalue()) == ("", "")


def test_a_redirection_that_ends_is_the_last_to_know_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, collected = Kernel(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", kernel)
    with captured() as log:
        with redirect_stdout(collected), captured() as other:
            print("other")
        print("step")
    assert (log.text(), other.text(), kernel.getvalue(), collected.getvalue()) == (
        "other\nstep\n",
        "other\n",
        "",
        "",
    )


@pytest.mark.parametrize("make", [io.StringIO, Kernel, lambda: io.TextIOWrapper(io.BytesIO())])
def test_streams_are_left_as_they_were(make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    stream = make()
    before = dict(vars(stream))
    monkeypatch.setattr(sys, "stdout", stream)
    with captured():
        pass
    assert vars(stream) == before
    assert sys.stdout is stream


def test_somebody_elses_way_of_writing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, written = io.StringIO(), list[str]()
    monkeypatch.setattr(sys, "stdout", stream)
    with captured():
        stream.write = written.append  # type: ignore[assignment,method-assign]
    print("x", end="")
    assert "".join(written) == "x"


def test_a_watched_stream_is_guarded_whatever_is_put_into_it() -> None:
    kernel: Any = Kernel()
    kernel.write("before; ")
    first = kernel.write
    kernel.write = lambda text: first(text.upper())  # the cell that makes it watched
    watch(kernel)
    watch(kernel)
    kernel.write("during; ")
    kernel.write = first
    assert issubclass(type(kernel), Kernel)
    with captured() as log:
        kernel.write("step")
        original = kernel.write
        kernel.write = lambda text: original(f"[{text}]")  # as IPython does for each cell
        kernel.write(" step")
    kernel.write("cell; ")
    for _ in range(3):
        kernel.write = kernel.write
    kernel.write = original
    kernel.write("after")
    assert log.text() == "step step"
    assert kernel.getvalue() == "before; DURING; [cell; ]after"


def test_a_router_is_watched_through(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    monkeypatch.setattr(sys, "stdout", kernel)
    with captured():
        watch(sys.stdout)
    with captured() as log:
        kernel.write("step")
    assert (log.text(), kernel.getvalue()) == ("step", "")


def test_a_stream_whose_attributes_cannot_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fixed:
        __slots__ = ("text",)

        def __init__(self) -> None:
            self.text = ""

        def write(self, text: str) -> int:
            self.text += text
            return len(text)

        def flush(self) -> None: ...

    stream = Fixed()
    monkeypatch.setattr(sys, "stdout", stream)
    with captured() as log:
        print("step")
    print("cell")
    assert (log.text(), stream.text) == ("step\n", "cell\n")


def test_a_process_without_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with captured() as log:
        print("nowhere")
    assert log.text() == ""
    assert sys.stdout is None


def test_outside_of_steps_the_router_is_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    monkeypatch.setattr(sys, "stdout", kernel)
    with captured():
        router: Any = sys.stdout
        assert not router.isatty()
        assert router.writable()
        router.close()
        print("still open")
    router.set_parent("cell 7")
    assert kernel.parent == "cell 7"
    assert router.isatty()
    router.write("x")
    router.flush()
    assert (kernel.getvalue(), router.encoding) == ("x", kernel.encoding)


def test_a_fresh_context_belongs_to_the_step_that_made_it() -> None:
    with captured() as log:
        context = fresh_context()
        thread = threading.Thread(target=lambda: context.run(print, "from a thread"))
        thread.start()
        thread.join()
    assert log.text() == "from a thread\n"
