// A shadow caster in a lamp's shadow map.
in vec3 in_position;
out float v_along;
uniform int lamp;

void main() {
    vec4 world = draw.world_from_local * vec4(in_position * draw.size.xyz, 1.0);
    v_along = dot(world.xyz - lamps.lamp_place[lamp].xyz, lamps.lamp_toward[lamp].xyz) / lamps.lamp_scale[lamp].z;
    gl_Position = lamps.clip_from_world[lamp] * world;
}
