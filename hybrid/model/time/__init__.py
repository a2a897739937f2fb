"""Context of earlier frames: recurrence over maps, encoder, fusion."""
