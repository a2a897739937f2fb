"""A page to look at scenes: as they are and with their labels, with every knob's value."""
