// The environment, behind all surfaces.
uniform sampler2D environment;
uniform vec2 truth_scale;
in vec2 v_uv;
layout(location = 0) out vec4 out_radiance;

#ifdef PHOTO
void main() { out_radiance = vec4(0.0, 0.0, 0.0, 1.0); }  // all of the photo's light
#else
void main() {
    vec2 at = (gl_FragCoord.xy * truth_scale - frame.lens.yz) / frame.lens.x;
    vec3 d = normalize(frame.camera_axes[0].xyz * at.x + frame.camera_axes[1].xyz * at.y + frame.camera_axes[2].xyz);
    vec2 uv = vec2(atan(d.y, d.x) * (0.5 / PI) + 0.5, acos(clamp(d.z, -1.0, 1.0)) / PI);
    vec4 seen = textureLod(environment, uv, 0.0);
    out_radiance = vec4(min(seen.rgb + seen.a * frame.bounce.rgb, vec3(16.0)), 1.0);
}
#endif
