"""Knobs of the sensor, of its processing, and of the files it writes."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from simgen.scene.config.bounds import Group, Knob, plain, share
from simgen.spec.knobs import Choice, IntRange, LogUniform, Uniform


def _bits(knob: IntRange) -> IntRange:
    if knob.high != 0 and not 8 <= knob.low <= knob.high <= 16:
        raise ValueError(f"needs 0 (no converter), or a range in 8..16, got low={knob.low}, high={knob.high}")
    return knob


class SensorKnobs(Group):
    """From light to a JPEG file, in the order of `simgen.camera.sensor.EFFECTS`."""

    exposure: Annotated[
        LogUniform,
        Knob(
            "", 1e-3, 1e3, "What a white card gives; 1 is full scale, above it is overexposed.", "all is black or white"
        ),
    ]
    white_balance: Annotated[
        Uniform, Knob("", 0.01, 100, "Error of the white balance: gain of red and of blue against green.", "a gain")
    ]
    vignetting: Annotated[Uniform, share("Light that the corners lose.")]
    blur_sigma_px: Annotated[
        Uniform, Knob("px", 0, 100, "Sigma of a Gaussian blur, the lens' sharpness; below 0.2: off.")
    ]
    motion_blur_px: Annotated[
        Uniform, Knob("px", -500, 500, "Length of the smear by a shaking hand; a draw below 0 counts as 0.")
    ]
    full_well_e: Annotated[LogUniform, Knob("e-", 10, 1e8, "Electrons of a white pixel; fewer: more shot noise.")]
    read_noise_e: Annotated[LogUniform, Knob("e-", 1e-3, 1e5, "Noise of reading a pixel, as a standard deviation.")]
    denoise: Annotated[Uniform, share("How much the camera smooths noise; below 0.05: off.")]
    sharpen: Annotated[
        Uniform, Knob("", 0, 20, "How much the camera sharpens edges; below 0.05: off.", "the gain of an unsharp mask")
    ]
    saturation: Annotated[Uniform, Knob("", 0, 20, "Gain of the colours; 0 is grey, 1 leaves them.", "a gain")]
    gamma: Annotated[
        Uniform, Knob("", 0.1, 10, "Tone curve: display = light ^ (1 / gamma); 2.2 is usual.", "an exponent")
    ]
    jpeg_quality: Annotated[IntRange, Knob("", 1, 100, "Quality of the JPEG files.", "JPEG's scale")]
    gain: Annotated[
        LogUniform, Knob("", 0.1, 100, "Gain after the sensor; at 2 white is half a full well: more noise.", "a gain")
    ]
    lateral_ca: Annotated[
        Uniform,
        Knob("share", -0.01, 0.01, "How much larger red and blue are drawn than green; lenses have -5e-4..5e-4."),
    ]
    glare: Annotated[Uniform, share("Light scattered over the picture; a clean lens has 0.005..0.03.")]
    crosstalk: Annotated[
        Uniform, share("Overlap of the colour filters; colour sensors have 0.1..0.3.", 0.4, "above it colours are lost")
    ]
    demosaic: Annotated[Choice, plain("Bayer filters: none, or a row of simgen.camera.sensor.bayer.DEMOSAIC.")]
    prnu: Annotated[Uniform, share("Spread of the pixels' response; sensors have 0.003..0.02.", 0.5)]
    dsnu_e: Annotated[Uniform, Knob("e-", 0, 1e6, "Spread of the pixels' dark signal; sensors have 0.5..10.")]
    dark_current_e: Annotated[Uniform, Knob("e-", 0, 1e6, "Electrons that a pixel collects in the dark, in one frame.")]
    hot_pixels: Annotated[Uniform, share("Share of all pixels that are hot; sensors have 0..1e-4.", 0.1)]
    row_noise_e: Annotated[Uniform, Knob("e-", 0, 1e6, "Noise that a whole row has in common.")]
    black_level: Annotated[Uniform, share("Level of black, of the converter's range; cameras have 0.004..0.06.", 0.25)]
    adc_bits: Annotated[
        IntRange,
        Knob("bit", 0, 16, "Bits of the converter, 8..16; 0: no converter.", "converters"),
        AfterValidator(_bits),
    ]
    video_crf: Annotated[
        IntRange,
        Knob("", 0, 51, "H.264's rate factor, 1 fine to 51 coarse; 0: no video.", "the scale of H.264"),
    ]
