"""EnCodec: weights from a local directory, a clear word where there are none, its size."""

import pytest
import safetensors.torch
import torch

from powermuse import registry
from powermuse.types import BadInput

transformers = pytest.importorskip("transformers", reason="the extra hub is not installed")


def test_a_local_directory_gives_the_weights_that_were_saved_there(tmp_path):
    torch.manual_seed(3)
    saved = transformers.EncodecModel(transformers.EncodecConfig(num_filters=4)).eval()
    saved.save_pretrained(tmp_path)
    codec = registry.build("codecs", "encodec", {"source": str(tmp_path)}).eval()
    wav = 0.1 * torch.randn(1, 1, 3200)
    with torch.no_grad():
        assert torch.equal(codec.encode(wav), saved.encoder(wav))


def test_another_encodec_than_the_mono_24_khz_one_is_refused(tmp_path):
    stereo = transformers.EncodecConfig(num_filters=4, sampling_rate=48_000, audio_channels=2)
    transformers.EncodecModel(stereo).save_pretrained(tmp_path)
    with pytest.raises(BadInput, match="not the mono 24 kHz model"):
        registry.build("codecs", "encodec", {"source": str(tmp_path)})


def test_a_directory_without_weights_is_refused_in_one_line(tmp_path):
    with pytest.raises(BadInput, match="no model could be loaded") as told:
        registry.build("codecs", "encodec", {"source": str(tmp_path)})
    assert "\n" not in str(told.value)


def test_the_architecture_has_the_weights_of_the_reference():
    codec = registry.build("codecs", "encodec", {"source": "random"})
    assert sum(p.numel() for p in codec.parameters()) == 14_851_810


@pytest.mark.parametrize("frames", [1, 2, 6, 9])  # the widest kernel is 7
def test_a_codec_that_keeps_its_decoder_alone_decodes_the_same_with_the_same_gradient(frames):
    z = torch.randn(2, 128, frames, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    heard, slopes = [], []
    for lean in (False, True):
        codec = registry.build("codecs", "encodec", {"source": "random", "num_filters": 4}).eval()
        codec = codec.double().keep_decoder() if lean else codec.double()
        x = z.clone().requires_grad_()
        heard.append(codec.decode(x))
        heard[-1].diff().square().sum().backward()
        slopes.append(x.grad)
    torch.testing.assert_close(*heard)
    torch.testing.assert_close(*slopes, rtol=1e-6, atol=1e-15)
    assert sum(p.numel() for p in codec.encoder.parameters()) == 0
    assert not any("parametrizations" in name for name, _ in codec.named_parameters())


def test_what_is_at_hand_is_told_without_asking_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("asked the hub"))
    codec = registry.find("codecs", "encodec")[1]
    assert codec.at_hand({"source": "random"}) and codec.at_hand({"source": str(tmp_path)})
    assert not codec.at_hand({"source": "nobody/nothing"})


def test_weights_that_are_not_all_there_are_refused_and_not_drawn(tmp_path):
    transformers.EncodecModel(transformers.EncodecConfig(num_filters=4)).save_pretrained(tmp_path)
    tensors = safetensors.torch.load_file(tmp_path / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("encoder.layers.0.")}
    safetensors.torch.save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    assert 0 < len(kept) < len(tensors)
    with pytest.raises(BadInput, match=r"lacks encoder\.layers\.0\.") as told:
        registry.build("codecs", "encodec", {"source": str(tmp_path)})
    assert "\n" not in str(told.value)


def test_damaged_weights_and_such_as_want_unpickling_are_refused(tmp_path):
    network = transformers.EncodecModel(transformers.EncodecConfig(num_filters=4))
    network.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(BadInput, match="no model could be loaded"):
        registry.build("codecs", "encodec", {"source": str(tmp_path)})
    (tmp_path / "model.safetensors").unlink()
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(BadInput, match="as safetensors"):
        registry.build("codecs", "encodec", {"source": str(tmp_path)})


@pytest.mark.parametrize("options", [{"num_filters": 0}, {"weights_seed": 2**70}], ids=str)
def test_a_random_model_that_cannot_be_is_refused(options):
    with pytest.raises(BadInput, match="num_filters must be above 0"):
        registry.build("codecs", "encodec", {"source": "random", **options})
