"""What the exporters share: which labels are chosen, masks, lists, building a folder."""
