"""What to do next: ranges to widen, photos to label, and rounds that try a change and keep it or not."""
