"""Shared by the exporters: selection of labels, masks, long lists, atomic folders."""
