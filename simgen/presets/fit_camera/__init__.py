"""Estimate a camera from a few of its photographs, as ranges for the `sensor:` group of a preset.

A picture is uint8 RGB as the camera delivers it. `luma` is its brightness in 0..1 in display values. Linear light is
luma to the power `GAMMA`, because the true tone curve is unknown without a test chart. The result is a simulated camera
whose pictures have the same statistics, not the data sheet of the real one: its noise is what denoising and compression
have left.
"""
