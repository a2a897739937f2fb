// Ambient occlusion from depth and normals at half the resolution (McGuire, Mara and Luebke 2012, "Scalable Ambient
// Obscurance", eq. 2), with taps on a spiral that turns from pixel to pixel in a pattern of 4 by 4.
uniform sampler2D depth_map;
uniform sampler2D normal_map;
layout(location = 0) out vec2 out_open;  // how open, and the depth
const int TAPS = 12;
const float TURNS = 5.0;

vec3 at(ivec2 pixel, float depth) {
    return vec3((vec2(pixel) + 0.5 - frame.lens.yz) / frame.lens.x, 1.0) * depth;
}

void main() {
    ivec2 last = textureSize(depth_map, 0) - 1;
    ivec2 here = min(ivec2(gl_FragCoord.xy) * 2, last);
    float depth = texelFetch(depth_map, here, 0).r;
    vec3 world = texelFetch(normal_map, here, 0).xyz;
    vec3 n = vec3(dot(frame.camera_axes[0].xyz, world), dot(frame.camera_axes[1].xyz, world), dot(frame.camera_axes[2].xyz, world));
    vec3 p = at(here, depth);
    float height = frame.eye.z + dot(p, vec3(frame.camera_axes[0].z, frame.camera_axes[1].z, frame.camera_axes[2].z));
    float reach = frame.lens.w * (height < -0.005 ? 4.0 : 1.0);
    float radius = clamp(frame.lens.x * reach / depth, 2.0, 96.0);
    reach = radius * depth / frame.lens.x;
    ivec2 cell = ivec2(gl_FragCoord.xy) & 3;
    float phase = float(cell.x * 4 + ((cell.y * 2 + cell.x * 3) & 3)) * (2.0 * PI / 16.0);
    float sum = 0.0;
    for (int i = 0; i < TAPS; i++) {
        float share = (float(i) + 0.5) / float(TAPS);
        float angle = share * TURNS * 2.0 * PI + phase;
        ivec2 tap = clamp(here + ivec2(round(vec2(cos(angle), sin(angle)) * radius * share)), ivec2(0), last);
        vec3 v = at(tap, texelFetch(depth_map, tap, 0).r) - p;
        float vv = dot(v, v), vn = dot(v, n);
        float f = max(reach * reach - vv, 0.0);
        sum += f * f * f * max((vn - 0.01 * reach - 0.0005 * depth) / (vv + 0.0004 * reach * reach), 0.0);
    }
    float r2 = reach * reach;
    out_open = vec2(max(1.0 - 5.0 * reach / (r2 * r2 * r2 * float(TAPS)) * sum, 0.0), depth);
}
