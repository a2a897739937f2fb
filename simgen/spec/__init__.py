"""Types that all of simgen uses: scenes, frames, labels, knobs, geometry, colour, errors."""
