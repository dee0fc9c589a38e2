"""EnCodec at 24 kHz (Défossez et al., arXiv 2210.13438), through `transformers`: latents before quantisation."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors import SafetensorError
from torch import Tensor

from powermuse.codecs import Codec
from powermuse.frozen import FrozenConvolution, FrozenTransposedConvolution
from powermuse.types import BadInput, MissingExtra

RANDOM = "random"


@dataclass(frozen=True)
class Config:
    """Options of the EnCodec codec."""

    source: str = "facebook/encodec_24khz"
    """A repository of the Hugging Face hub, a local directory, or `random`: the architecture with random weights."""
    num_filters: int = 32
    """Width of the first layer; only read where `source` is `random`."""
    weights_seed: int = 0
    """Of the random weights."""


class EncodecCodec(Codec):
    """The frozen encoder and decoder; 14,851,810 weights at full width."""

    sample_rate_hz = 24_000
    hop_samples = 320
    latent_dim = 128
    latents_carry_level = False
    # A compromise: the decoder is causal and remembers about 8 (its first convolution is 7 wide, then it is recurrent).
    context_frames = 3
    latent_options = ("source", "num_filters", "weights_seed")
    blank_options: ClassVar[dict[str, Any]] = {"source": RANDOM}
    toy_options: ClassVar[dict[str, Any]] = {"source": RANDOM, "num_filters": 2}

    def __init__(self, config: Config = Config()) -> None:
        super().__init__()
        model = _random_model(config) if config.source == RANDOM else _pretrained_model(config.source)
        if not _is_the_24_khz_model(model.config):
            raise BadInput(f"codec encodec: {config.source} is not the mono 24 kHz model")
        self.encoder, self.decoder = model.encoder, model.decoder
        self.requires_grad_(False)
        self.train(False)

    @classmethod
    def at_hand(cls, options: dict[str, Any]) -> bool:
        """Whether `source` is random, a directory, or in the cache of the hub."""
        source = options.get("source", Config.source)
        if source == RANDOM or Path(source).is_dir():
            return True
        try:
            _transformers().EncodecConfig.from_pretrained(source, local_files_only=True)
        except (OSError, ValueError):
            return False
        return True

    def train(self, mode: bool = True) -> "EncodecCodec":
        """Frozen: stays in evaluation, but that a CUDA LSTM must be in training to have a backward pass."""
        super().train(False)
        for module in self.modules():
            if isinstance(module, torch.nn.LSTM):
                module.train(True)
        return self

    def encode(self, wav_BCN: Tensor) -> Tensor:
        """[B, 1, N] -> z [B, 128, T]."""
        self.require_mono(wav_BCN)
        z_BDT: Tensor = self.encoder(wav_BCN)
        return z_BDT

    def keep_decoder(self) -> "EncodecCodec":
        """Without the encoder, half of the weights, and with a decoder that costs less in every training step."""
        self.encoder, self.decoder = torch.nn.Identity(), _lean(self.decoder)
        return self

    def decode(self, z_BDT: Tensor) -> Tensor:
        """z [B, 128, T] -> [B, 1, T * 320]."""
        wav_BCN: Tensor = self.decoder(z_BDT)
        return wav_BCN


def _lean(network: torch.nn.Module) -> torch.nn.Module:
    """The decoder with its convolutions exchanged for frozen ones and its activations in place wherever nobody needs
    what was there. Changes `network`; what comes out stays the same."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ in _FROZEN:
                setattr(parent, name, _FROZEN[type(child).__name__](child))
        # Within a residual block the first activation's input is also the shortcut's.
        within = getattr(parent, "block", None) or getattr(parent, "layers", [])
        for i, layer in enumerate(within):
            if isinstance(layer, torch.nn.ELU) and i > 0:
                layer.inplace = True
    return network


# What the 24 kHz model is made of: causal, reflected, trimmed on the right, as `__init__` sees to.
_FROZEN: dict[str, Callable[[Any], torch.nn.Module]] = {
    "EncodecConv1d": lambda m: FrozenConvolution(m.conv.weight.detach(), m.conv.bias.detach(), m.conv.dilation[0]),
    "EncodecConvTranspose1d": lambda m: FrozenTransposedConvolution(m.conv.weight.detach(), m.conv.bias.detach()),
}


def _is_the_24_khz_model(config: Any) -> bool:
    causal = config.use_causal_conv and config.pad_mode == "reflect" and config.trim_right_ratio == 1.0
    mono_24_khz = config.sampling_rate == EncodecCodec.sample_rate_hz and config.audio_channels == 1
    return bool(causal and mono_24_khz and config.norm_type == "weight_norm")


def _random_model(config: Config) -> Any:
    if config.num_filters < 1 or not -(2**63) <= config.weights_seed < 2**63:
        raise BadInput("codec encodec: num_filters must be above 0, weights_seed a number of 63 bits")
    transformers = _transformers()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.weights_seed)
        return transformers.EncodecModel(transformers.EncodecConfig(num_filters=config.num_filters))


def _pretrained_model(source: str) -> Any:
    load = partial(_transformers().EncodecModel.from_pretrained, source, use_safetensors=True, output_loading_info=True)
    try:
        try:  # what is here already, before a hub that may not answer is asked again and again
            network, told = load(local_files_only=True)
        except OSError:
            network, told = load()
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        local = "" if Path(source).is_dir() else ", and no such directory is here"
        raise BadInput(
            f"codec encodec: no model could be loaded from {source}{local}; "
            "name a directory that holds the 24 kHz EnCodec as safetensors, or connect to the hub once"
        ) from error
    if missing := sorted(told["missing_keys"]):  # they would be drawn at random, each time others
        raise BadInput(f"codec encodec: {source} lacks {missing[0]}, one of {len(missing)}; fetch it again")
    return network


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise MissingExtra("the encodec codec", "hub") from None
    return transformers
