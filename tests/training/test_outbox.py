import pytest

from powermuse.training import outbox
from powermuse.training.outbox import Outbox


class Store:
    """Takes what it is given while it is there."""

    def __init__(self) -> None:
        self.there, self.has, self.asked = True, [], 0

    def take(self, what: str) -> None:
        self.asked += 1
        if not self.there:
            raise ConnectionError("refused\nat length")
        self.has.append(what)


def boxed(*words: str) -> tuple[Outbox, Store, list[str]]:
    said: list[str] = []
    box, store = Outbox("the store", said.append), Store()
    put(box, store, *words)
    return box, store, said


def put(box: Outbox, store: Store, *words: str) -> None:
    for word in words:
        box.add(lambda word=word: store.take(word))


def test_what_waits_is_done_in_order_and_once():
    box, store, said = boxed("a", "b")
    assert box.send()
    put(box, store, "c")
    assert box.send() and box.send()
    assert store.has == ["a", "b", "c"] and len(box) == 0 and said == []


def test_what_fails_waits_in_its_place_and_both_turns_are_said_once(monkeypatch):
    monkeypatch.setattr(outbox, "_RETRY_S", 0.0)
    monkeypatch.setattr(outbox, "_PATIENCE", 0.0)
    box, store, said = boxed("a", "b")
    store.there = False
    assert not box.send()
    put(box, store, "c")
    assert not box.send()
    assert store.has == [] and len(box) == 3
    assert said == ["the store: ConnectionError: refused; the run goes on, and tries again"]
    store.there = True
    assert box.send()
    assert store.has == ["a", "b", "c"]
    assert said[1:] == ["the store: answers again, and has what it missed"]


@pytest.mark.parametrize(("took", "waits"), [(0.1, 60.0), (10.0, 200.0)])
def test_after_a_failure_it_is_left_alone_for_a_minute_or_twenty_times_what_the_try_took(monkeypatch, took, waits):
    now = [1000.0]
    monkeypatch.setattr(outbox.time, "monotonic", lambda: now[0])
    box, store, _ = boxed()

    def hang() -> None:
        now[0] += took
        store.take("a")

    box.add(hang)
    store.there = False
    assert not box.send()
    now[0] += waits - 0.01
    assert not box.send() and store.asked == 1
    now[0] += 0.02
    assert not box.send() and store.asked == 2
    assert not box.send(at_once=True) and store.asked == 3
