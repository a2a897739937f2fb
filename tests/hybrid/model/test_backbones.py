"""Backbones: torchvision's own features, weights from files that may be bad, what stays frozen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model
from torchvision.models.feature_extraction import create_feature_extractor

from hybrid.core.config import tiny
from hybrid.model.frame.backbone import BACKBONES
from hybrid.model.frame.stages import STRIDES, normalised
from hybrid.model.network import Network
from hybrid.training.config import TrainConfig
from hybrid.training.schedule import keep_frozen, parameter_groups

THEIRS = {
    "resnet18": ("resnet18", ("layer1", "layer2", "layer3")),
    "resnet34": ("resnet34", ("layer1", "layer2", "layer3")),
    "resnet50": ("resnet50", ("layer1", "layer2", "layer3")),
    "mobilenet_v3": ("mobilenet_v3_large", ("features.3", "features.6", "features.12")),
}


def test_the_table_is_tiny_and_torchvisions():
    assert set(BACKBONES) == {"tiny", *THEIRS}


@torch.no_grad()
@pytest.mark.parametrize("name", THEIRS)
def test_a_file_gives_torchvisions_features(name, tmp_path):
    torch.manual_seed(0)
    their, nodes = THEIRS[name]
    net = get_model(their, weights=None).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics that are not the identity
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    path = tmp_path / ("weights.safetensors" if name == "resnet50" else "weights.pth")
    save_file(net.state_dict(), path) if name == "resnet50" else torch.save(net.state_dict(), path)
    backbone = BACKBONES[name](str(path), "auto", True)
    images = torch.rand(1, 3, 64, 96)
    wanted = create_feature_extractor(net, list(nodes))(images)
    maps = backbone.train()(images)  # the statistics are frozen in training too
    for x, node, stride, channels in zip(maps, nodes, STRIDES, backbone.channels, strict=True):
        assert x.shape == (1, channels, 64 // stride, 96 // stride)
        torch.testing.assert_close(x, wanted[node], rtol=1e-4, atol=1e-4)
    trained = BACKBONES[name](str(path), "batch", True).train()
    trained(torch.cat([images, images + 1]))
    moved = [key for key, x in trained.state_dict().items() if key.endswith("running_mean") and _differs(key, x, net)]
    assert moved


def _differs(key, x, net):
    key = key.replace("stem.1.", "bn1.")
    return not torch.equal(x, net.state_dict()[key])


def bad_file(kind: str, folder: Path) -> Path:
    path, state = folder / "bad.pth", get_model("resnet18", weights=None).state_dict()
    if kind == "another depth":
        torch.save(get_model("resnet34", weights=None).state_dict(), path)
    elif kind == "another shape":
        torch.save(state | {"layer2.0.conv1.weight": torch.zeros(3, 3)}, path)
    elif kind == "a tensor lacks":
        torch.save({key: x for key, x in state.items() if key != "layer3.0.bn1.running_var"}, path)
    elif kind == "not finite":
        torch.save(state | {"conv1.weight": state["conv1.weight"] * float("nan")}, path)
    elif kind == "truncated":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:100_000])
    elif kind == "truncated safetensors":
        path = path.with_suffix(".safetensors")
        save_file(state, path)
        path.write_bytes(path.read_bytes()[:100_000])
    elif kind == "code":
        torch.save({"conv1.weight": Path("/")}, path)
    elif kind == "no state dict":
        torch.save([torch.zeros(3)], path)
    else:
        path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "another depth",
            r"holds no ResNet-18: \d+ of \d+ tensors differ; layer1\.2\.conv1\.weight belongs to another net",
        ),
        ("another shape", r"no ResNet-18: 1 of .*layer2\.0\.conv1\.weight is \(3, 3\), not \(128, 64, 3, 3\)"),
        ("a tensor lacks", r"no ResNet-18: 1 of .*layer3\.0\.bn1\.running_var is missing, not \(256,\)"),
        ("not finite", "1 tensors that are not finite, such as 'conv1.weight'"),
        ("truncated", "cannot be read"),
        ("truncated safetensors", "cannot be read"),
        ("code", "holds code, not only tensors"),
        ("no state dict", "holds a list, not a state dict"),
        ("empty", "cannot be read"),
    ],
)
def test_a_bad_file_is_reported(kind, message, tmp_path):
    path = bad_file(kind, tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        BACKBONES["resnet18"](str(path), "auto", True)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "weights", "norm", "message"),
    [
        ("resnet18", "none", "frozen", "keeps the statistics of pretrained weights"),
        ("resnet18", "default", "group", "choose 'frozen' or 'batch'"),
        ("mobilenet_v3", "none", "frozen", "keeps the statistics of pretrained weights"),
        ("tiny", "none", "batch", "'tiny' has group norms, got 'batch'"),
        ("tiny", "default", "auto", "'tiny' starts from none"),
    ],
)
def test_norms_and_weights_that_cannot_go_together_are_reported(name, weights, norm, message):
    with pytest.raises(ValueError, match=message):
        BACKBONES[name](weights, norm, False)


def test_groups_divide_any_number_of_channels():
    for channels in range(1, 400):
        groups = normalised(channels).num_groups
        assert channels % groups == 0
        assert groups <= max(1, channels // 16)
        assert channels % 16 or groups == channels // 16


@pytest.mark.parametrize("name", ["tiny", "mobilenet_v3"])
def test_the_first_stages_stay_or_learn_slowly(name):
    detector = Network(replace(tiny(("a",)), backbone=name, width=16, branches="cnn", norm="auto"))
    plan = TrainConfig(learning_rate=1.0, backbone_rate=0.5, frozen_stages=1, stage_decay=0.1)
    rates = {p: group["lr"] for group in parameter_groups(detector, plan) for p in group["params"]}
    stages = [list(stage.parameters()) for stage in detector.backbone.stages()]
    assert sum(map(len, stages)) == len(list(detector.backbone.parameters()))
    assert not any(p in rates or p.requires_grad for p in stages[0])
    assert [rates[p] for p in stages[1]] == pytest.approx([0.05] * len(stages[1]))
    assert [rates[p] for p in stages[2]] == [0.5] * len(stages[2])
    assert all(rates[p] == 1.0 for key, p in detector.named_parameters() if not key.startswith("backbone."))


def test_frozen_stages_keep_the_statistics_of_live_norms():
    detector = Network(replace(tiny(("a",)), backbone="mobilenet_v3", width=16, branches="cnn", norm="batch")).train()
    keep_frozen(detector, TrainConfig(frozen_stages=2))
    before = {key: x.clone() for key, x in detector.backbone.state_dict().items()}
    detector(torch.rand(1, 2, 3, 32, 32))
    moved = {
        int(key.split(".")[1]) for key, x in detector.backbone.state_dict().items() if not torch.equal(x, before[key])
    }
    assert moved == set(range(7, 13))
