"""What a few photographs tell about the camera that took them, as ranges for a preset's `sensor:` group.

A picture is uint8 RGB as a camera delivers it; `luma` is its brightness in 0..1 on the display's scale, and linear
light is luma to the power `GAMMA`: the true tone curve cannot be known without a target. What is found is the simulated
camera that shows the same, not the parts list of the real one: its noise is what denoising and compression left.
"""
