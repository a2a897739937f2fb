// The mean over the 4 by 4 pixels of one tap pattern, weighted to those at about the same depth.
uniform sampler2D source;
layout(location = 0) out vec2 out_open;

void main() {
    ivec2 here = ivec2(gl_FragCoord.xy), last = textureSize(source, 0) - 1;
    float depth = texelFetch(source, here, 0).g;
    float sum = 0.0, weights = 0.0;
    for (int j = -2; j < 2; j++) {
        for (int i = -2; i < 2; i++) {
            vec2 tap = texelFetch(source, clamp(here + ivec2(i, j), ivec2(0), last), 0).rg;
            float weight = max(1.0 - abs(tap.g - depth) / (0.01 * depth), 1e-4);
            sum += tap.r * weight;
            weights += weight;
        }
    }
    out_open = vec2(sum / weights, depth);
}
