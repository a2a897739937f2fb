// A mesh in the world. Positions are bit-identical in all programs, so that a depth test for equality works.
in vec3 in_position;
in vec3 in_normal;
out vec3 v_world;
out vec3 v_local;
out vec3 v_normal;
out vec3 v_local_normal;
invariant gl_Position;
#ifdef COLOURED
in vec3 in_colour;
out vec3 v_colour;
#endif

void main() {
    v_local = in_position * draw.size.xyz;
    v_world = (draw.world_from_local * vec4(v_local, 1.0)).xyz;
    v_local_normal = in_normal;
#ifdef COLOURED
    v_colour = in_colour;
#endif
    v_normal = mat3(draw.world_from_local) * in_normal;
    gl_Position = frame.clip_from_world * vec4(v_world, 1.0);
}
