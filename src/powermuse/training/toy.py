"""A recipe at toy size: a few seconds of work that still go through everything the full recipe goes through."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from powermuse import registry
from powermuse.agents import Agent
from powermuse.recipe import Choice, Recipe

PAIRS, BATCH = 4, 2
_CROP_FRAMES, _DECODE_FRAMES = 96, 24
_LAYERS, _FFN_MULTIPLE, _FLOW_WIDTH = 1, 0.25, 16


def toy(full: Recipe, agent: Agent, least_crop: int, least_decode: int) -> Recipe:
    """The same agent, form of cascade, terms, targets, adversary and noise, but small and short. `agent` tells how it
    shrinks; `least_crop` and `least_decode` are the frames that the terms ask for."""
    training = dataclasses.replace(
        full.training, pairs=PAIRS, batch=BATCH, log_every=BATCH, validate_every=PAIRS, validation_pairs=BATCH,
        save_every=PAIRS, keep_checkpoints=1, monitor=0, threads=1, shard=False, begin_from="",
        warmup=min(full.training.warmup, BATCH), cooldown=min(full.training.cooldown, BATCH),
        accumulate=min(full.training.accumulate, 1 if "swap_response" in full.targets else BATCH),
    )  # fmt: skip
    data = dataclasses.replace(
        full.data,
        crop_frames=min(full.data.crop_frames, max(_CROP_FRAMES, least_crop)),
        decode_frames=min(full.data.decode_frames, max(_DECODE_FRAMES, least_decode)),
    )
    small = registry.find("codecs", full.codec.name)[1].toy_options
    return dataclasses.replace(
        full,
        codec=Choice(full.codec.name, {**full.codec.options, **small}),
        agent=Choice(full.agent.name, {**full.agent.options, **agent.toy_options}),
        cascade=dataclasses.replace(
            full.cascade, layers=_LAYERS, ffn_multiple=min(full.cascade.ffn_multiple, _FFN_MULTIPLE)
        ),
        flow=dataclasses.replace(
            full.flow,
            width=_FLOW_WIDTH,
            heads=2,
            draft_layers=1,
            refine_layers=min(full.flow.refine_layers, 2),
            steps=2,
            drop=0.15,
            drop_all=0.0,
        ),
        data=data,
        training=training,
        # From the first pair on: the full curriculum may begin after days.
        noise=dataclasses.replace(full.noise, start=0, step=BATCH),
        tracking=dataclasses.replace(full.tracking, mlflow=False, tensorboard=False, listen=0),
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs what is within on a single CPU thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
