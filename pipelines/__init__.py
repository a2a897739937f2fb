"""The pipelines: pretrain on simulation, fine-tune on photos, report the gap between them."""
