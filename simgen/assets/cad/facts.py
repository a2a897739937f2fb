"""What a packed part says of itself beside its mesh: the schema, and its check."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from simgen.spec.errors import PartFileError
from simgen.spec.text.printable import printable
from simgen.spec.types import Quat, Vec3

SCHEMA = 1
MAX_HULLS, MAX_HULL_CORNERS = 32, 64
MAX_POSES, MAX_ROTATIONS = 64, 127
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


def _one_line(text: str) -> str:
    if text != printable(text) or text != text.strip():
        raise ValueError("needs one line of printable characters")
    return text


def _unit(values: tuple[float, ...]) -> tuple[float, ...]:
    length = sum(value * value for value in values) ** 0.5
    if abs(length - 1) > 1e-6:
        raise ValueError(f"needs the length 1, got {length:.6g}")
    return values


Text = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_one_line)]
Name = Annotated[str, StringConstraints(pattern=NAME)]
Category = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_one_line)]
UnitQuat = Annotated[Quat, AfterValidator(_unit)]
UnitVec3 = Annotated[Vec3, AfterValidator(_unit)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Hull = Annotated[tuple[Vec3, ...], Field(min_length=4, max_length=MAX_HULL_CORNERS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=False)


class OriginFacts(_Strict):
    file: Text
    unit: Annotated[str, StringConstraints(pattern=r"^(mm|cm|m|in)$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class PoseFacts(_Strict):
    rotation_xyzw: UnitQuat
    height_m: Positive
    probability: Share
    drop_share: Share


class SymmetryFacts(_Strict):
    rotations_xyzw: Annotated[tuple[UnitQuat, ...], Field(max_length=MAX_ROTATIONS)]
    axes: Annotated[tuple[UnitVec3, ...], Field(max_length=3)]


class Facts(_Strict):
    """`extras.simgen_part` of a packed part; lengths in metres."""

    schema_: Annotated[int, Field(alias="schema", ge=SCHEMA, le=SCHEMA)]
    name: Name
    category: Category
    origin: OriginFacts
    material: Text | None
    density_kg_m3: Annotated[float, Field(ge=1, le=30000)]  # osmium has 22590
    volume_m3: Positive
    inertia_m2: tuple[Positive, Positive, Positive]
    hulls_m: Annotated[tuple[Hull, ...], Field(min_length=1, max_length=MAX_HULLS)]
    resting_poses: Annotated[tuple[PoseFacts, ...], Field(min_length=1, max_length=MAX_POSES)]
    symmetries: SymmetryFacts
    notes: Annotated[tuple[Text, ...], Field(max_length=32)] = ()
    coarse_error_m: Positive | None = None  # of the second mesh, where there is one


def checked_facts(value: Any, name: str) -> Facts:
    """The facts in a packed part's JSON.

    Raises:
        PartFileError: a fact is missing, unknown, or out of its bounds. Names the file, the fact and its value.
    """
    version = value.get("schema") if isinstance(value, dict) else None
    if isinstance(version, int) and version > SCHEMA:
        raise PartFileError(f"{name}: is of schema {version}, newer than {SCHEMA}: a newer simgen reads it")
    try:
        return Facts.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "simgen_part"
        said = printable(f"{first['input']!r:.60}")
        raise PartFileError(f"{name}: simgen_part.{where}: {first['msg']}, got {said}; import the part again") from None
