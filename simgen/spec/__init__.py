"""The words that all others use: specs of scenes, frames, labels, knobs, geometry, colour, errors."""
