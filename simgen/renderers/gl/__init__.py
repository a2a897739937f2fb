"""The renderer `pbr`: physically based shading in OpenGL without a window system."""
