"""What a person sees, on a terminal and in a pipe."""

from __future__ import annotations

import io

from deploy.local.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_in_a_pipe_every_new_step_is_a_line() -> None:
    stream = io.StringIO()
    console = Console(stream)
    for text in ("one", "one", "two"):
        console.step(text)
    console.line("kept")
    console.done()
    assert stream.getvalue() == "one\ntwo\nkept\n"


def test_on_a_terminal_a_step_is_written_over_and_moves_below_a_line() -> None:
    stream = Terminal()
    console = Console(stream)
    console.step("one")
    console.step("two")
    console.line("kept")
    console.done()
    console.line("last")
    clear = "\r\x1b[2K"
    assert stream.getvalue() == f"{clear}one{clear}two{clear}kept\ntwo{clear}last\n"


def test_the_last_word_of_a_progress_stays() -> None:
    stream = Terminal()
    console = Console(stream)
    console.progress("1 of 2", complete=False)
    console.progress("2 of 2", complete=True)
    assert stream.getvalue().endswith("2 of 2\n")


def test_a_reader_that_went_away_stops_nothing() -> None:
    console = Console(Gone())
    console.step("one")
    console.line("two")
    console.done()
