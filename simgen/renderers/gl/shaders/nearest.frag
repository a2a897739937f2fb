// The minimum depth (nearest to the light) of 4 by 4 texels.
uniform sampler2D source;
layout(location = 0) out float out_depth;

float least(vec4 v) { return min(min(v.x, v.y), min(v.z, v.w)); }

void main() {
    vec2 texel = 1.0 / vec2(textureSize(source, 0));
    vec2 at = (floor(gl_FragCoord.xy) * 4.0 + 1.0) * texel;
    vec2 step = 2.0 * texel;
    out_depth = min(
        min(least(textureGather(source, at)), least(textureGather(source, at + vec2(step.x, 0.0)))),
        min(least(textureGather(source, at + vec2(0.0, step.y))), least(textureGather(source, at + step))));
}
