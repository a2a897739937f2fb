"""What the physically based renderer draws with: an OpenGL context without a window, and what is kept on it."""
