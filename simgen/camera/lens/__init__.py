"""What a lens does to the image: distortion and defocus."""
