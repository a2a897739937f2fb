// A shadow caster in the key light's orthographic shadow map.
in vec3 in_position;
uniform int cascade;

void main() {
    vec4 world = draw.world_from_local * vec4(in_position * draw.size.xyz, 1.0);
    vec3 at = (frame.shadow_from_world[cascade] * world).xyz;
    gl_Position = vec4(2.0 * at - 1.0, 1.0);
}
