"""From the bodies of a CAD file to a solid: repair, mass, frame, triangles, hulls, resting poses, symmetries."""
