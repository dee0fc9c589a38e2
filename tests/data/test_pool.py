"""Processes that work side by side: what comes, in which order, and how they end."""

import gc
import multiprocessing
import os
import pickle
import time

import pytest
import threadpoolctl

from powermuse import registry
from powermuse.data.pool import in_order
from powermuse.types import BadInput, MissingExtra


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


@pytest.mark.parametrize("workers", [1, 2])
def test_why_a_process_could_not_begin_is_said(workers):
    with pytest.raises(BadInput, match="no codec is called 'nobody'"):
        list(in_order(abs, [(1,), (2,)], workers, registry.build, "codecs", "nobody", {}))


def test_what_is_missing_can_be_told_by_another_process():
    told = pickle.loads(pickle.dumps(MissingExtra("codec encodec", "hub")))
    assert isinstance(told, MissingExtra) and str(told) == str(MissingExtra("codec encodec", "hub"))


def test_a_process_that_dies_is_said():
    with pytest.raises(BadInput, match="a worker process died"):
        list(in_order(os._exit, [(3,), (3,)], 2, gc.collect))


def test_a_process_does_its_linear_algebra_in_one_thread_and_the_one_that_began_it_in_as_many_as_before(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = list(in_order(threadpoolctl.threadpool_info, [(), ()], 2, registry.build, "codecs", "mel", {}))
    assert all(found) and {library["num_threads"] for each in found for library in each} == {1}
    assert os.environ["OPENBLAS_NUM_THREADS"] == "7" and "OMP_NUM_THREADS" not in os.environ
