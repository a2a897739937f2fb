"""Photographs in presets: which files, what is left out, and what cannot be."""

from __future__ import annotations

import pytest
from PIL import Image

from simgen.presets.notes import notes
from simgen.presets.read import load_config, stored_config
from simgen.spec.errors import ConfigError
from tests.simgen import photos


def preset(folder, text):
    path = folder / "line.yaml"
    path.write_text("base: tiny\nstage:\n  belt_speed_m_s: 0\n" + text, "utf-8")
    return str(path)


def files(config):
    return [file.name for file in config.stage.photo.pictures]


def test_a_path_is_relative_to_the_preset_that_names_it(tmp_path, monkeypatch):
    photos.folder(tmp_path / "line" / "backgrounds")
    line = preset(tmp_path / "line", "  photo: backgrounds\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "on_top.yaml").write_text("base: ../line/line.yaml\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    assert files(load_config(line)) == ["empty0.png", "empty1.png"]
    assert files(load_config("other/on_top.yaml")) == ["empty0.png", "empty1.png"]
    photos.folder(tmp_path / "mine", 1)
    assert files(load_config(line, ["stage.photo.files=mine"])) == ["empty0.png"]
    assert files(load_config("tiny", ["stage.belt_speed_m_s=0", "stage.photo=mine/empty0.png"])) == ["empty0.png"]


def test_the_config_holds_the_photos_by_their_content_and_no_path(tmp_path):
    photos.folder(tmp_path / "a")
    config = load_config(preset(tmp_path, "  photo: {files: [a, a/empty0.png], share: 0.5}\n"))
    assert files(config) == ["empty0.png", "empty1.png"]  # each content once
    plain = config.model_dump(mode="json")
    assert str(tmp_path) not in str(plain)
    assert stored_config(plain).stage.photo.pictures == config.stage.photo.pictures


def test_a_photo_that_cannot_be_read_is_left_out_and_named(tmp_path):
    photos.folder(tmp_path / "a")
    (tmp_path / "a" / "broken.jpg").write_bytes(b"\xff\xd8\xff no jpeg")
    photos.save(tmp_path / "a" / "stamp.png", photos.drawn(20, 20))
    config = load_config(preset(tmp_path, "  photo: a\n"))
    assert files(config) == ["empty0.png", "empty1.png"]
    (note,) = [note for note in notes(config) if "left out" in note]
    assert note.startswith("2 photos are left out")
    assert "broken.jpg" in note
    assert "20 x 20" in note


def test_a_portrait_photo_is_upright(tmp_path):
    image, exif = Image.fromarray(photos.drawn(200, 100)), Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a").mkdir()
    image.save(tmp_path / "a" / "p.jpg", exif=exif)
    (file,) = load_config(preset(tmp_path, "  photo: a\n")).stage.photo.pictures
    assert (file.width_px, file.height_px) == (100, 200)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  photo: nowhere\n", "stage.photo.files: .*nowhere: no such file or folder"),
        ("  photo: bare\n", "stage.photo.files: .*bare: no photo in this folder"),
        ("  photo: bad\n", "no photo that can be used: .*x.jpg: image file cannot be decoded"),
        ("  photo: {share: 0.5}\n", "stage.photo: missing files: a folder of photos"),
        ("  photo: {files: good, crop: 2}\n", "stage.photo.crop: needs 0.05 to 1"),
        ("  photo: good\n  wall_height_m: 0.1\n", "photo: a bin's walls are drawn"),
        ("  photo: {fles: good}\n", "stage.photo.fles: no such knob; did you mean 'files'"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, text, words):
    photos.folder(tmp_path / "good", 1)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.jpg").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=words) as error:
        load_config(preset(tmp_path, text))
    assert len(error.value.problems) == 1


def test_a_belt_and_a_small_photo_are_worth_a_note(tmp_path):
    photos.folder(tmp_path / "a", 1, width=90, height=70)
    said = "\n".join(notes(load_config("tiny", [f"stage.photo={tmp_path / 'a'}"])))
    assert "the photo's belt stands still" in said
    assert "1 of 1 photos are enlarged" in said
