// The minimum within `reach` texels along one axis. Run along both, it bounds what may cast a shadow nearby.
uniform sampler2D source;
uniform int reach;
uniform ivec2 axis;
layout(location = 0) out float out_depth;

void main() {
    ivec2 here = ivec2(gl_FragCoord.xy), last = textureSize(source, 0) - 1;
    float found = 1.0;
    for (int i = -reach; i <= reach; i++)
        found = min(found, texelFetch(source, clamp(here + i * axis, ivec2(0), last), 0).r);
    out_depth = found;
}
