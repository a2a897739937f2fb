"""The renderer `tiny`: PyBullet's software rasterizer for the geometry, shading in numpy."""
