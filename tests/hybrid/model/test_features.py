"""The last map of image models: its shape, and that the weights of torchvision's files are where they belong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hybrid.core.errors import ConfigError
from hybrid.model.frame.features import FeatureExtractor

pytest.importorskip("timm")


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("resnet50", 2048),
        ("timm:resnet50", 2048),
        ("timm:convnext_tiny.dinov3_lvd1689m", 768),
        ("timm:mobilenetv4_conv_medium", 960),
    ],
)
def test_a_picture_of_224_px_gives_a_map_of_7x7(name: str, channels: int) -> None:
    with torch.device("meta"):  # shapes alone: nothing is computed
        extractor = FeatureExtractor(name, weights="none")
        assert extractor(torch.zeros(2, 3, 224, 224)).shape == (2, channels, 7, 7)
    assert (extractor.channels, extractor.stride) == (channels, 32)


@torch.no_grad()
def test_a_file_of_torchvision_gives_torchvisions_layer4(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    theirs = resnet18(weights=None).eval()
    save_file(theirs.state_dict(), tmp_path / "weights.safetensors")
    images = torch.rand(1, 3, 64, 96)
    x = (images - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[
        :, None, None
    ]
    for layer in list(theirs.children())[:-2]:  # without the pooling and the classifier
        x = layer(x)
    mine = FeatureExtractor("resnet18", weights=str(tmp_path / "weights.safetensors"))(images)
    torch.testing.assert_close(mine, x)


def test_wrong_names_are_told() -> None:
    for name, message in (
        ("resnet19", "there is no 'resnet19'; choose from"),
        ("timm:resnet19", "timm has no model 'resnet19'"),
    ):
        with pytest.raises(ConfigError, match=message):
            FeatureExtractor(name, weights="none")
