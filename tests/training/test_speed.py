"""Speed: what the log says of it, and the operations that it is a share of."""

import time

import pytest
import torch
import torch.nn.functional as F

from powermuse.training import speed
from powermuse.training.speed import Speed, peak_flops


def test_pairs_and_frames_are_those_of_the_time_since_it_began():
    watch = Speed(100, torch.device("cpu"), 1)
    assert watch.read() == {}
    watch.begin()
    watch.add(2)
    time.sleep(0.1)
    watch.add(2)
    told = watch.read()
    assert 20.0 < told["pairs_per_s"] <= 40.0
    assert told["frames_per_s"] == pytest.approx(100.0 * told["pairs_per_s"], rel=1e-2)
    assert "share_of_peak" not in told


def test_the_share_of_peak_counts_products_and_attention_forward_and_back(monkeypatch):
    monkeypatch.setattr(speed, "_COUNTED_STEP", 1)
    monkeypatch.setattr(speed, "peak_flops", lambda device: 1e9)
    watch = Speed(100, torch.device("cpu"), 1)
    weight = torch.randn(64, 64, requires_grad=True)
    with watch.counting():
        (torch.randn(10, 64) @ weight).sum().backward()
        q = torch.randn(1, 2, 30, 16, requires_grad=True)
        F.scaled_dot_product_attention(q, q, q).sum().backward()
    watch.add(1)
    linear, attention = 2 * 10 * 64 * 64, 4 * 2 * 30 * 30 * 16
    assert watch._flops == 2 * linear + attention + 2.5 * attention
    watch.begin()
    watch.add(1)
    time.sleep(0.01)
    told = watch.read()
    assert told["share_of_peak"] == pytest.approx(watch._flops * told["pairs_per_s"] / 1e9, rel=0.1)


def test_a_matrix_product_has_a_peak_that_a_processor_can_have():
    assert 1e8 < peak_flops(torch.device("cpu")) < 1e15
