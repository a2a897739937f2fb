"""Pretrain on simulation, fine-tune on photos, report the gap."""
