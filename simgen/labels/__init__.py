"""Labels in the geometry of the final image: boxes, visible shares, 6D poses, optical flow."""
