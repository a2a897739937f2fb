"""Models of timm as backbones: the maps are timm's own, and the weights that pip brings name what pictures show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from hybrid.core.config import tiny
from hybrid.core.errors import ConfigError
from hybrid.model.frame.backbone import make_backbone
from hybrid.model.frame.stages import STRIDES
from hybrid.model.frame.timm_net import bundled_weights
from hybrid.model.network import Network

timm = pytest.importorskip("timm")
LITE = "tf_efficientnet_lite0"
# ImageNet (ILSVRC 2012): cats (tabby, tiger, Persian, Siamese, Egyptian), espresso, missile and projectile
SHOWN = {"chelsea": {281, 282, 283, 284, 285}, "coffee": {967}, "rocket": {657, 744}}


@torch.no_grad()
@pytest.mark.parametrize("picture", SHOWN)
def test_the_bundled_weights_name_what_a_picture_shows(picture: str) -> None:
    """A wrong order of the tensors, a wrong padding or a wrong standardisation names something else."""
    data = pytest.importorskip("skimage.data", reason="scikit-image has the pictures")
    backbone = make_backbone(f"timm:{LITE}", "bundled", "auto", False)
    whole = timm.create_model(LITE).eval()
    whole.load_state_dict(bundled_weights(LITE))
    image = torch.from_numpy(getattr(data, picture)()).permute(2, 0, 1)[None].float() / 255
    side = min(image.shape[-2:])
    top, left = ((length - side) // 2 for length in image.shape[-2:])
    square = image[..., top : top + side, left : left + side]
    small = nn.functional.interpolate(square, (224, 224), mode="bicubic", antialias=True).clamp(0, 1)
    mean, spread = (torch.tensor(values)[:, None, None] for values in (backbone.mean, backbone.spread))
    assert int(whole((small - mean) / spread).argmax()) in SHOWN[picture]


@torch.no_grad()
@pytest.mark.parametrize("name", [LITE, "mobilenetv4_conv_small", "convnext_atto", "resnet18"])
def test_the_maps_are_timms_at_our_strides(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = timm.create_model(name).eval()
    for module in whole.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics that are not the identity
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    save_file(whole.state_dict(), tmp_path / "weights.safetensors")
    theirs = timm.create_model(name, features_only=True).eval()
    names = {own: own if own in whole.state_dict() else own.replace("_", ".", 1) for own in theirs.state_dict()}
    theirs.load_state_dict({own: whole.state_dict()[their] for own, their in names.items()})
    backbone = make_backbone(f"timm:{name}", str(tmp_path / "weights.safetensors"), "auto", True)
    images = torch.rand(2, 3, 64, 96)
    wanted = dict(zip(theirs.feature_info.reduction(), theirs(images), strict=True))
    maps = backbone.train()(images)  # statistics stay as they are in training too
    assert len(maps) == len(STRIDES) == 3
    for stride, channels, x in zip(STRIDES, backbone.channels, maps, strict=True):
        assert x.shape == (2, channels, 64 // stride, 96 // stride)
        if name != "convnext_atto":  # drops paths at random in training
            torch.testing.assert_close(x, wanted[stride], rtol=1e-3, atol=1e-3)


def test_a_network_standardises_images_as_its_backbones_weights_expect() -> None:
    network = Network(replace(tiny(("bolt",)), backbone=f"timm:{LITE}", weights="bundled"))
    assert network.mean.flatten().tolist() == pytest.approx([127 / 255] * 3)
    assert network.spread.flatten().tolist() == pytest.approx([128 / 255] * 3)
    wanted: dict[str, Tensor] = bundled_weights(LITE)
    assert torch.equal(network.state_dict()["backbone.parts.0.0.weight"], wanted["conv_stem.weight"])


@pytest.mark.parametrize(
    ("name", "weights", "norm", "why"),
    [
        ("nosuch_net", "none", "auto", "timm has no model 'nosuch_net'"),
        ("vit_tiny_patch16_224", "none", "auto", "strides|feature maps"),
        ("resnet18", "bundled", "auto", "'bundled' goes with .*lite0"),
        ("resnet18", "none", "frozen", "does not go with"),
        (LITE, "bundled", "group", "does not go with"),
    ],
)
def test_what_cannot_be_a_backbone_is_refused(name: str, weights: str, norm: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        make_backbone(f"timm:{name}", weights, norm, True)


def test_a_file_of_another_model_is_refused_with_the_first_difference(tmp_path: Path) -> None:
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match=r"holds no resnet34 of timm: \d+ of \d+ tensors differ; layer1.2.conv1"):
        make_backbone("timm:resnet34", str(tmp_path / "other.safetensors"), "auto", True)
