// Values where no surface is. Drawn first, so that no integer buffer has to be cleared.
in vec2 v_uv;
layout(location = 0) out float out_depth;
layout(location = 1) out int out_id;
layout(location = 2) out vec4 out_normal;

void main() {
    out_depth = NOTHING_M;
    out_id = -1;
    out_normal = vec4(0.0);
}
