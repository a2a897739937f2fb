// Radiance behind a GGX lobe of one roughness, by filtered importance sampling: half vectors from the distribution of
// normals (Walter et al. 2007, eq. 35, 36), N = V = R (Karis 2013, "Real Shading in Unreal Engine 4"), from the mip
// level whose texels are as large as the sample's share of the sphere (Krivanek and Colbert 2008).
uniform sampler2D source;
uniform float roughness;
in vec2 v_uv;
layout(location = 0) out vec4 out_radiance;
const int SAMPLES = 64;

vec3 toward(vec2 uv) {
    float azimuth = (uv.x - 0.5) * 2.0 * PI, polar = uv.y * PI;
    return vec3(sin(polar) * cos(azimuth), sin(polar) * sin(azimuth), cos(polar));
}

vec2 place(vec3 d) {
    return vec2(atan(d.y, d.x) / (2.0 * PI) + 0.5, acos(clamp(d.z, -1.0, 1.0)) / PI);
}

float van_der_corput(uint i) { return float(bitfieldReverse(i)) * 2.3283064365386963e-10; }

void main() {
    vec3 n = toward(v_uv);
    vec3 side = normalize(cross(abs(n.z) < 0.9 ? vec3(0.0, 0.0, 1.0) : vec3(1.0, 0.0, 0.0), n));
    vec3 up = cross(n, side);
    float alpha = roughness * roughness, a2 = alpha * alpha;
    vec2 texels = vec2(textureSize(source, 0));
    vec4 sum = vec4(0.0);
    float weights = 0.0;
    for (int i = 0; i < SAMPLES; i++) {
        float u = (float(i) + 0.5) / float(SAMPLES), turn = 2.0 * PI * van_der_corput(uint(i));
        float cosine = sqrt((1.0 - u) / (1.0 + (a2 - 1.0) * u)), sine = sqrt(1.0 - cosine * cosine);
        vec3 h = sine * cos(turn) * side + sine * sin(turn) * up + cosine * n;
        vec3 l = 2.0 * cosine * h - n;
        float nol = dot(n, l);
        if (nol > 0.0) {
            float d = a2 / (PI * pow(cosine * cosine * (a2 - 1.0) + 1.0, 2.0));
            float sample_sr = 4.0 / (float(SAMPLES) * d);  // pdf of l = d / 4 where n = v
            float texel_sr = 2.0 * PI * PI / (texels.x * texels.y) * max(sqrt(1.0 - l.z * l.z), 0.02);
            float level = max(0.5 * log2(sample_sr / texel_sr) + 0.5, 0.0);
            sum += textureLod(source, place(l), level) * nol;
            weights += nol;
        }
    }
    out_radiance = sum / weights;
}
