"""Processes that work side by side: what comes, in which order, and how they end."""

import gc
import multiprocessing
import os
import time

import pytest

from powermuse.data.pool import in_order
from powermuse.types import BadInput


def test_results_come_in_the_order_of_what_was_asked():
    slow_first = [(range(5_000_000),), *[(range(count),) for count in range(6)]]
    assert list(in_order(sum, slow_first, 2, gc.collect))[1:] == [0, 0, 1, 3, 6, 10]


def test_nobody_waits_for_what_is_in_hand_when_the_rest_is_not_wanted():
    results = in_order(time.sleep, [(0,), *[(120,)] * 5], 2, gc.collect)
    next(results)
    began = time.monotonic()
    results.close()
    assert not multiprocessing.active_children()
    assert time.monotonic() - began < 30


def test_a_process_that_dies_is_said():
    with pytest.raises(BadInput, match="a worker process died"):
        list(in_order(os._exit, [(3,), (3,)], 2, gc.collect))
