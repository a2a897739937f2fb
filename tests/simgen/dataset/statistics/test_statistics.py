"""What is in a data set, against counts made in another way; knobs against their ranges."""

import json
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from simgen.dataset.format.reader import DataSet
from simgen.dataset.statistics.draws import Source, is_within, ranges_of, stored_values
from simgen.dataset.statistics.histogram import Bins, Spread
from simgen.dataset.statistics.page import page
from simgen.dataset.statistics.summary import COLUMNS, ROWS, summary, to_json
from simgen.dataset.statistics.table import WIDTH, lines
from simgen.presets.read import load_config, stored_config
from simgen.scene.sampling.sample import sample
from simgen.spec.knobs import Choice


def read(folder, **options):
    data = DataSet(folder)
    source = Source(stored_config(data.manifest.request.config), data.manifest.request.seed, sample)
    return summary(data, source, **options)


@pytest.fixture(scope="module")
def sound(tiny_data_set):
    return read(tiny_data_set, clips=2)


@pytest.fixture
def copied(tiny_data_set, tmp_path):
    shutil.copytree(tiny_data_set, tmp_path / "data")
    return tmp_path / "data"


def edit(folder, pattern, text):
    """Change bytes of the first clip's JSON that are as long as before."""
    path = folder / "shard-00000.tar"
    old = path.read_bytes()
    new = re.sub(pattern, text, old, count=1)
    assert len(new) == len(old)
    assert new != old
    path.write_bytes(new)


def test_the_counts_are_those_of_all_labels(occluded_data_set):
    found = summary(DataSet(occluded_data_set), None)
    frames = [(clip.labels(), frame) for clip in DataSet(occluded_data_set) for frame in clip.labels().frames]
    seen = [(labels, part) for labels, frame in frames for part in frame.parts if part.box_xyxy_px]
    assert (found.clips, found.frames, found.boxes) == (4, 20, len(seen))
    assert sum(count * number for number, count in found.boxes_a_frame.items()) == len(seen)
    places = np.zeros((ROWS, COLUMNS), int)
    for labels, part in seen:
        x0, y0, x1, y1 = part.box_xyxy_px
        places[int((y0 + y1) / 2 / labels.height_px * ROWS), int((x0 + x1) / 2 / labels.width_px * COLUMNS)] += 1
    assert np.array_equal(places, found.places)
    hidden = [p for _, f in frames for p in f.parts if p.box_xyxy_px is None and p.amodal_box_xyxy_px]
    assert sum(one.hidden for one in found.categories.values()) == len(hidden) > 0
    for name, one in found.categories.items():
        parts = [part for _, part in seen if part.category == name]
        assert one.boxes == len(parts) == sum(one.visible.counts)
        assert one.whole == sum(part.visible_share >= 0.99 for part in parts)
        sizes = [
            math.sqrt((p.box_xyxy_px[2] - p.box_xyxy_px[0]) * (p.box_xyxy_px[3] - p.box_xyxy_px[1])) for p in parts
        ]
        assert one.size_px.quantile(0.5) == pytest.approx(np.quantile(sizes, 0.5, method="inverted_cdf"), rel=0.011)


@pytest.mark.parametrize("preset", ["belt", "workshop"])
def test_a_scene_drawn_with_noted_draws_is_the_same_scene_and_every_draw_is_in_its_range(preset):
    config = load_config(preset)
    ranges = dict(ranges_of(config))
    draws = Source(config, 5, sample).draws(1, None)
    assert draws.spec == sample(config, 5, 1)
    assert len(draws.values) > 50
    assert all(is_within(ranges[path], value) for path, values in draws.values.items() for value in values)
    stored = stored_values(draws.spec)
    both = stored.keys() & draws.values.keys()
    assert len(both) > 30
    for path in both:  # what a scene shows by itself is what was drawn
        drawn = draws.values[path]
        assert stored[path] == (drawn if path == "sensor.demosaic" else pytest.approx(drawn, rel=1e-12))


def test_sizes_of_a_standard_are_within_the_range_of_their_kind():
    config = load_config("bolts_on_table")
    ranges = dict(ranges_of(config))
    sizes = {path: values for path, values in stored_values(sample(config, 0, 0)).items() if ".kinds." in path}
    assert len(sizes) >= 4
    assert all(is_within(ranges[path], value) for path, values in sizes.items() for value in values)


def test_a_sound_data_set_has_no_fault_and_a_knob_outside_its_range_is_named(sound, copied):
    assert (sound.faults, sound.knobs.strangers, sound.damage) == (0, 0, [])
    edit(copied, rb'"gamma":\d', b'"gamma":9')
    found = read(copied, clips=1)
    assert list(found.knobs.outside) == ["sensor.gamma"]
    assert "in scene 0, outside 1.9 to 2.5" in found.knobs.outside["sensor.gamma"]
    assert found.knobs.strange[0].startswith("scene 0 is not what its config draws: sensor.gamma is 9.")
    assert found.faults == 2
    assert found.knobs.columns["sensor.gamma"].most > 9


def test_a_damaged_shard_is_one_line_and_the_rest_is_counted(copied):
    edit(copied, rb'"labels":', b'"lab\x00ls":')
    found = read(copied, clips=2)
    assert (found.damaged, found.clips) == (1, 1)
    assert "of clip 0 is damaged" in found.damage[0]
    path = copied / "shard-00000.tar"
    path.write_bytes(path.read_bytes()[:3000])
    found = read(copied)
    assert (found.damaged, found.clips) == (1, 0)
    assert "cut short" in found.damage[0]
    assert any("cut short" in line for line in lines(found))


def test_the_table_is_of_80_columns_and_the_json_holds_the_same_figures(sound, tiny_data_set):
    found = sound
    text = list(lines(found))
    assert max(map(len, text)) <= WIDTH
    assert not any("\n" in line for line in text)
    plain = json.loads(to_json(found))
    assert plain["boxes"] == found.boxes == sum(map(sum, plain["positions"]))
    assert f"{found.boxes} boxes" in "\n".join(text)
    focal = plain["knobs"]["drawn"]["camera.focal_px"]
    drawn = [DataSet(tiny_data_set)[i].spec().camera.focal_px for i in (0, 5)]
    assert (focal["least"], focal["most"], sum(focal["bins"])) == (min(drawn), max(drawn), len(drawn))


def test_some_clips_are_spread_and_a_config_that_cannot_be_read_is_said(tiny_data_set):
    found = summary(DataSet(tiny_data_set), None, clips=4, no_source="of a later version")
    assert found.clips == 4
    assert found.knobs.varying == {}
    assert any("of a later version" in line for line in lines(found))
    assert "of a later version" in page(found)


def test_the_page_shows_names_as_text_and_has_no_script(sound):
    hostile = {"<script>x</script>": sound.categories["nut"]}
    found = replace(sound, categories=hostile, preset="<b>", damage=["<i>"])
    text = page(found)
    assert "<script" not in text
    assert "<b>" not in text
    assert "<i>" not in text
    assert "&lt;script&gt;x" in text
    assert "http" not in text
    for path in found.knobs.varying:
        assert f"<th>{path}<td>" in text


def test_quantiles_are_right_to_one_percent():
    values = np.random.default_rng(0).lognormal(3, 1, 4000)
    spread = Spread()
    for value in values:
        spread.add(float(value))
    for share in (0.05, 0.5, 0.95):
        assert spread.quantile(share) == pytest.approx(np.quantile(values, share, method="inverted_cdf"), rel=0.0101)
    assert spread.mean == pytest.approx(values.mean())
    assert Spread().quantile(0.5) == 0.0


def test_bins_hold_their_low_end_and_catch_what_is_outside():
    bins = Bins.empty(2, 4, 4)
    for value in (2.0, 2.5, 3.99, 4.0, -9.0, 99.0):
        bins.add(value)
    assert bins.counts == [2, 1, 0, 3]


def test_a_choice_holds_only_names_with_a_weight():
    knob = Choice({"a": 1.0, "b": 0.0})
    assert is_within(knob, "a")
    assert not is_within(knob, "b")
    assert not is_within(knob, "c")
