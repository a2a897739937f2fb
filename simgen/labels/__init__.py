"""The truth on the pixels' own geometry: boxes, visible shares, optical flow."""
