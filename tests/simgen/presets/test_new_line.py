"""A new line's camera: from calibrations of several tools, from EXIF, guessed; and where it stands."""

from __future__ import annotations

import io
import json
import math

import cv2
import numpy as np
import pytest
from PIL import Image

from simgen.cli.new import spread
from simgen.presets.new_line.lens import from_exif, guessed, read_calibration
from simgen.presets.new_line.view import placed, rendered_size
from simgen.spec.errors import CameraError
from tests.simgen import photos

MATRIX = [[900.0, 0.0, 320.0], [0.0, 902.0, 240.0], [0.0, 0.0, 1.0]]
COEFFICIENTS = [-0.1, 0.02, 0.001, -0.002, 0.0]
ROS = """image_width: 640
image_height: 480
camera_name: line
camera_matrix:
  rows: 3
  cols: 3
  data: [900, 0, 320, 0, 902, 240, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.1, 0.02, 0.001, -0.002, 0]
"""


def by_opencv(path):
    """As OpenCV itself writes it."""
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    file.write("image_width", 640)
    file.write("image_height", 480)
    file.write("camera_matrix", np.array(MATRIX))
    file.write("distortion_coefficients", np.array([COEFFICIENTS]))
    file.release()


def by_ros(path):
    path.write_text(ROS)


def as_json(path):
    path.write_text(json.dumps({"K": MATRIX, "dist": [COEFFICIENTS], "width": 640, "height": 480}))


@pytest.mark.parametrize(("name", "write"), [("a.yml", by_opencv), ("a.yaml", by_ros), ("a.json", as_json)])
def test_the_same_camera_is_read_from_every_tools_file(tmp_path, name, write):
    write(tmp_path / name)
    lens = read_calibration(tmp_path / name)
    assert (lens.size_px, lens.focal_px) == ((640, 480), 901.0)
    assert lens.distortion == pytest.approx(COEFFICIENTS)
    assert lens.at((320, 240)).focal_px == pytest.approx(450.5)
    with pytest.raises(CameraError, match="is for pictures of 640 x 480, the photos have 640 x 360"):
        lens.at((640, 360))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\n", "needs camera_matrix, a list of numbers, got None"),
        ("[1, 2]\n", "is no calibration"),
        ("camera_matrix: [1, 2, 3]\n", "needs a camera matrix of 3 x 3"),
        ("camera_matrix: {data: [a, b]}\n", "needs camera_matrix, a list of numbers"),
        (ROS.replace("plumb_bob", "equidistant"), "distortion_model 'equidistant': simgen has k1, k2, p1, p2, k3"),
        (ROS.replace("-0.002, 0]", "-0.002, 0, 0.3]"), "6 distortion coefficients"),
        (ROS.replace("902", "700"), "simgen's pixels are square"),
        ("a: [1\n", "not YAML"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_one_line(tmp_path, text, words):
    path = tmp_path / "calib.yaml"
    path.write_text(text)
    with pytest.raises(CameraError, match=words) as error:
        read_calibration(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(CameraError, match="no such file"):
        read_calibration(tmp_path / "none.yaml")


def test_exif_states_the_focal_length_on_film(tmp_path):
    """28 mm on film of 36 x 24 mm sees 75 degrees along the diagonal."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 28
    file = io.BytesIO()
    Image.fromarray(photos.drawn(160, 120)).save(file, "JPEG", exif=exif)
    lens = from_exif(tmp_path / "p.jpg", file.getvalue(), (160, 120))
    assert lens is not None
    assert 2 * math.degrees(math.atan(100 / lens.focal_px)) == pytest.approx(75.4, abs=0.1)
    file = io.BytesIO()
    Image.fromarray(photos.drawn(160, 120)).save(file, "JPEG")
    assert from_exif(tmp_path / "p.jpg", file.getvalue(), (160, 120)) is None


def test_the_view_is_as_wide_as_the_height_and_the_tilt_make_it():
    lens = guessed((640, 480))  # 50 degrees
    down = placed((640, 480), lens, 1.0, 0.0, None, 0.05)
    assert down.ground_m[0] == pytest.approx(2 * math.tan(math.radians(25)), rel=1e-6)
    tilted = placed((640, 480), lens, 1.0, 60.0, None, 0.05)
    assert tilted.distance_m == pytest.approx(2.0)
    assert tilted.ground_m[1] == pytest.approx(down.ground_m[1] * 4)  # twice as far, and seen at a slant
    assert placed((640, 480), lens, None, 0.0, 0.5, 0.05).ground_m[0] == pytest.approx(0.5)
    assert "guessed" in placed((640, 480), lens, None, None, None, 0.05).how
    for height_m, tilt_deg in ((1.0, 89.0), (0.0, 10.0)):
        with pytest.raises(CameraError, match=r"--tilt-deg|--height-m"):
            placed((640, 480), lens, height_m, tilt_deg, None, 0.05)


@pytest.mark.parametrize(
    ("photo", "rendered"), [((4000, 3000), (768, 576)), ((1080, 1920), (432, 768)), ((640, 480), (640, 480))]
)
def test_rendered_pictures_have_the_photos_shape(photo, rendered):
    assert rendered_size(photo) == rendered


def test_an_option_takes_several_values():
    words = ["line", "--part", "a.step", "b.stl", "--unit", "mm", "--empty", "1.jpg", "--photos", "p"]
    spread_out = ["line", "--part", "a.step", "--part", "b.stl", "--unit", "mm", "--empty", "1.jpg", "--photos", "p"]
    assert spread(words) == spread_out
