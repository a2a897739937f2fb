// Ground truth at each pixel's centre: depth along the optical axis, id, and the surface's own normal. No anti-aliasing.
in vec3 v_normal;
layout(location = 0) out float out_depth;
layout(location = 1) out int out_id;
layout(location = 2) out vec4 out_normal;

void main() {
    out_depth = 1.0 / gl_FragCoord.w;
    out_id = int(draw.size.w);
    out_normal = vec4(normalize(v_normal), 1.0);
}
