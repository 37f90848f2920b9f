"""What tasks let hear while they run: what they print, and how far they are.

None of it is remembered: all that a task printed comes with its outcome. So nothing need be sent of a task that says
nothing, or that ends at once, and what is lost on the way is no harm. A thread of the process collects, every now and
then, what all of its tasks have said since; a line that is printed costs next to nothing more.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

from nbflow.errors import NbflowError
from nbflow.tasks.capture import Buffer, present

REST: Final = 0.2
"""Seconds for which what is said is collected: a task is heard five times a second."""

LINGER: Final = 5.0
"""Seconds for which the thread stays when nobody says anything any more."""

MOST_TEXT: Final = 8_000
"""Characters of what a task printed that are sent at once: the last ones."""


class Progress(NamedTuple):
    """How far a task is."""

    done: float
    total: float | None = None
    text: str = ""


class Heard(NamedTuple):
    """What an attempt has said since it was last heard."""

    execution: str
    attempt: int
    start: int = 0
    """How many characters it had printed before ``printed``."""
    printed: str = ""
    progress: Progress | None = None
    """The latest, if it has ever said how far it is."""
    worker: str = ""
    """As in :class:`nbflow.tasks.job.Outcome`."""


Hear: TypeAlias = Callable[[Sequence[Heard]], None]
"""Hears attempts of any execution. Called from any thread; it must return soon, and raise nothing."""


class NotANumber(NbflowError, TypeError):
    """nf.progress was given something else."""


def progress(done: float, total: float | None = None, text: str = "") -> None:
    """Say how far the task is that runs: a bar in the panel and in the terminal.

    ``done`` of ``total``, in whatever is counted; without a total, only the count is shown. ``text`` stands beside it.
    It may be called as often as one likes. Outside of a task nothing happens, and so it is in a notebook that is run as
    a task: its kernel is another process. Raises NotANumber (a TypeError).
    """
    try:
        done, total = float(done), None if total is None else float(total)
    except (TypeError, ValueError) as error:
        raise NotANumber(
            f"nf.progress(done, total) takes numbers, not {done!r:.60} and {total!r:.60}"
        ) from error
    buffer = present()
    if buffer is not None and buffer.voice is not None:
        buffer.voice.progressed(done, total, str(text or ""))


class Speaker:
    """The voice of one attempt; ``hear`` is told what it says."""

    def __init__(self, execution: str, attempt: int, hear: Hear, crier: "Crier | None" = None) -> None:
        self.hear = hear
        self.buffer: Buffer | None = None
        """What it prints; None when it has ended."""
        self._key = execution, attempt
        self._crier = crier or _crier
        self._position = 0
        self._progress: Progress | None = None
        self._waits = False
        """What it has said has not been collected yet."""

    def spoke(self) -> None:
        if not self._waits:
            self._waits = True
            self._crier.heed(self)

    def progressed(self, done: float, total: float | None, text: str) -> None:
        self._progress = Progress(done, total, text)
        self.spoke()

    def collect(self) -> Heard | None:
        """What it has said since the last time; None if it has ended."""
        self._waits = False  # first: what is said from now on is said anew
        buffer = self.buffer
        if buffer is None:
            return None
        start, printed = buffer.since(self._position, MOST_TEXT)
        self._position = start + len(printed)
        return Heard(*self._key, start, printed, self._progress)


Start: TypeAlias = Callable[[Callable[[], None]], None]
"""Lets a function run beside everything else."""


def _in_a_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="nbflow-heard", daemon=True).start()


class Crier:
    """Collects what the speakers of this process say, and passes it on."""

    def __init__(self, start: Start = _in_a_thread) -> None:
        self._start = start
        self._speakers: set[Speaker] = set()
        self._condition = threading.Condition()
        self._runs = False

    def heed(self, speaker: Speaker) -> None:
        """It has something to say. Returns at once."""
        with self._condition:
            self._speakers.add(speaker)
            if self._runs:
                self._condition.notify()
                return
            self._runs = True
        self._start(self._run)

    def pass_on(self) -> None:
        """What has been said by now, all together for each who hears it."""
        with self._condition:
            speakers, self._speakers = self._speakers, set()
        said: defaultdict[Hear, list[Heard]] = defaultdict(list)
        for speaker in speakers:
            heard = speaker.collect()
            if heard is not None:
                said[speaker.hear].append(heard)
        for hear, heards in said.items():
            hear(heards)

    def _run(self) -> None:
        rest = threading.Event()
        while True:
            with self._condition:
                if not self._condition.wait_for(lambda: self._speakers, LINGER):
                    self._runs = False
                    return
            rest.wait(REST)
            self.pass_on()


_crier: Final = Crier()
