"""Sample detections: labels and detections are drawn, a lost file is left out, and the network is as before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from hybrid.data.coco import read_coco
from hybrid.model.network import Network
from hybrid.training.run.pictures import WIDE_PX, write_samples
from tests.hybrid.photos import CATEGORIES, coco_document, write_coco
from tests.hybrid.variants import SMALL


def test_a_sheet_of_samples_leaves_the_network_as_it_is(tmp_path: Path) -> None:
    document = coco_document(4, (96, 64), boxes=1)
    source = read_coco(write_coco(tmp_path / "photos", document))
    network = Network(replace(SMALL, categories=CATEGORIES)).train()
    network.backbone.stages()[0].eval()
    before = {name: module.training for name, module in network.named_modules()}
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    (tmp_path / "photos/images/3.png").unlink()
    write_samples(tmp_path, network, source, None, score=1.0)
    assert {name: module.training for name, module in network.named_modules()} == before
    assert all(torch.equal(weights[name], tensor) for name, tensor in network.state_dict().items())
    sheet = cv2.imread(str(tmp_path / "samples.jpg"))
    assert sheet.shape == (WIDE_PX * 64 // 96, 3 * WIDE_PX, 3)
    x, y, _, high = document["annotations"][0]["bbox"]
    left_edge = sheet[round((y + high / 2) * WIDE_PX / 96), round((x + 0.5) * WIDE_PX / 96)]
    assert np.all(left_edge > 200)  # the labelled box is white
