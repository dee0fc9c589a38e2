"""Progress where it is read later: in the log of a job."""

from powermuse import terminal


def test_without_a_terminal_a_line_is_written_now_and_then(capsys, monkeypatch):
    clock_s = iter([0.0, 1.0, 61.0, 61.0, 62.0, 130.0, 130.0])
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock_s))
    with terminal.progress() as update:
        for done in range(1, 5):
            update("evaluate", done, 60, "factors")
    said = capsys.readouterr()
    assert said.err == "powermuse: evaluate 2 of 60 factors\npowermuse: evaluate 4 of 60 factors\n" and said.out == ""
