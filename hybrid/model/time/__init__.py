"""What sees earlier frames: recurrence over maps, fusion."""
