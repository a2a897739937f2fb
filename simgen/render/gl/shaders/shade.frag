// Light on one kind of surface: PART, BODY, STAGE, FLOOR, or NOTHING for what is behind them all.
//
// Metallic-roughness microfacets. Distribution of normals: GGX (Walter et al. 2007, "Microfacet Models for Refraction
// through Rough Surfaces", eq. 33; anisotropic: Burley 2012, "Physically Based Shading at Disney", app. B.2). Masking and
// shadowing: Smith, height-correlated (Heitz 2014, "Understanding the Masking-Shadowing Function", eq. 99). Fresnel:
// Schlick 1994. Image-based light: split sum (Karis 2013) with multiple scattering put back (Fdez-Aguera 2019, "A
// Multiple-Scattering Microfacet Model for Real-Time Image-based Lighting"), so that a white surface in a uniform
// environment vanishes. Highlights are filtered over the pixel (Tokuyoshi and Kaplanyan 2019). Shadows: percentage-closer
// soft shadows (Fernando 2005) whose blockers must lie within the light's cone.

uniform sampler2D environment;  // radiance above the horizon by azimuth and polar angle, a level a roughness; a: share below it
uniform sampler2D irradiance;   // of a surface by its normal, from above the horizon
uniform sampler2D response;     // split sum: scale and bias of the reflectance, by cosine and roughness
uniform sampler2D shadow_map;   // depth along the key light; of the stage's top (MAP 0) or of all there is (MAP 1)
uniform sampler2DShadow shadow_test;
uniform sampler2D casters;      // depth nearest to the light of all that may shade a point
uniform sampler2D open_map;     // ambient occlusion at half the resolution, and its depth
uniform sampler2D floor_open;
uniform sampler2D tile;         // the surface's own pattern, in -1..1
uniform sampler2D stage_pattern;
uniform vec2 truth_scale;       // pixels of the truth for each pixel here

layout(std140) uniform Sheets {
    vec4 sheet_place[MAX_SHEETS];  // centre, half the size
    vec4 sheet_turn[MAX_SHEETS];   // cosine and sine of its yaw
    vec4 sheet_rgb[MAX_SHEETS];    // albedo
};

in vec3 v_world;
in vec3 v_local;
in vec3 v_normal;
in vec3 v_local_normal;
layout(location = 0) out vec4 out_radiance;

const float TILE = 256.0;
const float LEVELS = 4.0;         // of the environment, from a mirror to the roughest
const float BRIGHTEST = 16.0;     // far over any sensor's range
const float SHEET_EDGE_M = 0.0006;
const float BIAS_M = 0.0003;
const int SEARCH_TAPS = 8, FILTER_TAPS = 16;
#define SPIRAL(i) vec2(cos(float(i) * 2.39996323), sin(float(i) * 2.39996323))  // by the golden angle (Vogel 1979)

vec2 sphere_uv(vec3 d) { return vec2(atan(d.y, d.x) * (0.5 / PI) + 0.5, acos(clamp(d.z, -1.0, 1.0)) / PI); }

float least(vec4 v) { return min(min(v.x, v.y), min(v.z, v.w)); }

// ---------------------------------------------------------------------------------------------------------- shadows

// Share of the key light that reaches p, whose surface has the normal n. Loops of no turns stand for branches: a CPU's
// rasterizer runs both sides of a branch, but leaves a loop.
float lit(vec3 p, vec3 n) {
    vec3 at = (frame.shadow_from_world[MAP] * vec4(p, 1.0)).xyz;
    float across = frame.shadow_scale[MAP].x, deep = frame.shadow_scale[MAP].y, texel = frame.shadow_scale[MAP].z;
    float room = (at.z - least(textureGather(casters, at.xy))) * deep;  // to the caster nearest to the light
    float facing = dot(n, frame.sun.xyz);
    bool clear = any(greaterThan(abs(at.xy - 0.5), vec2(0.5))) || room < BIAS_M || facing <= 0.0;
    vec2 rise = (mat3(frame.shadow_from_world[MAP]) * n).xy * across * across / max(facing, 0.2);  // of the surface, m per uv
    rise *= min(1.0, 8.0 * across / max(length(rise), 1e-6));
    float turn = 2.0 * PI * fract(52.9829189 * fract(dot(gl_FragCoord.xy, vec2(0.06711056, 0.00583715))));  // Jimenez 2014
    mat2 spin = mat2(cos(turn), sin(turn), -sin(turn), cos(turn));
    float cone = frame.sun.w;
    float search = min(room * cone / across, 0.25) + texel;  // uv
    float blockers = 0.0, gaps = 0.0;
    int taps = clear ? 0 : SEARCH_TAPS;
    for (int i = 0; i < taps; i++) {
        vec2 tap = spin * SPIRAL(i) * (float(i) / float(SEARCH_TAPS) * search);  // denser in the middle: near blockers are small
        float gap = (at.z - textureLod(shadow_map, at.xy + tap, 0.0).r) * deep;
        float within = step(length(tap) * across, gap * cone + 1.5 * texel * across) * step(BIAS_M, gap + dot(rise, tap));
        blockers += within;
        gaps += within * gap;
    }
    taps = blockers > 0.0 ? FILTER_TAPS : 0;
    float wide = clamp(gaps / max(blockers, 1.0) * cone / across, 0.7 * texel, search);
    float open = taps == 0 ? float(FILTER_TAPS) : 0.0;
    for (int i = 0; i < taps; i++) {
        vec2 tap = spin * SPIRAL(i) * (sqrt((float(i) + 0.5) / float(FILTER_TAPS)) * wide);
        open += textureLod(shadow_test, vec3(at.xy + tap, at.z + (dot(rise, tap) - BIAS_M) / deep), 0.0);
    }
    return open / float(FILTER_TAPS);
}

// One blurred look, for what is only mirrored.
float lit_roughly(vec3 p, float wide_m) {
    vec3 at = (frame.shadow_from_world[MAP] * vec4(p, 1.0)).xyz;
    vec2 wide = vec2(1.0, 0.3) * (wide_m / frame.shadow_scale[MAP].x);
    float depth = at.z - BIAS_M / frame.shadow_scale[MAP].y;
    return 0.25 * (textureLod(shadow_test, vec3(at.xy + wide, depth), 0.0)
        + textureLod(shadow_test, vec3(at.xy - wide, depth), 0.0)
        + textureLod(shadow_test, vec3(at.xy + vec2(-wide.y, wide.x), depth), 0.0)
        + textureLod(shadow_test, vec3(at.xy + vec2(wide.y, -wide.x), depth), 0.0));
}

// Ambient occlusion from the four half-resolution pixels round this one, of those at about its depth.
float openness(float depth) {
    vec2 size = vec2(textureSize(open_map, 0));
    vec2 at = (gl_FragCoord.xy * truth_scale * 0.5) - 0.25;  // half-resolution pixel i looks at pixel 2 i
    vec2 corner = floor(at + 0.001), share = clamp(at - corner, 0.0, 1.0);
    vec2 uv = (corner + 1.0) / size;
    vec4 open = textureGather(open_map, uv, 0), z = textureGather(open_map, uv, 1);
    vec4 near = max(1.0 - abs(z - depth) / (0.01 * depth), 1e-4);
    vec4 weight = near * vec4((1.0 - share.x) * share.y, share.x * share.y, share.x * (1.0 - share.y), (1.0 - share.x) * (1.0 - share.y));
    return 1.0 - frame.ambient.w * (1.0 - dot(open, weight) / (dot(weight, vec4(1.0)) + 1e-6));
}

// --------------------------------------------------------------------------------------------------------- patterns

// A solid's pattern at a point of it, from the tile on three planes (triplanar), by how much the surface faces each.
float pattern(vec3 p, vec3 n) {
    float scale = draw.finish.z / TILE;
    vec3 weight = abs(n) * abs(n);
    weight *= weight;
    weight /= weight.x + weight.y + weight.z;
    float level = log2(max(max(length(dFdx(p)), length(dFdy(p))) * draw.finish.z, 1e-3));
    vec2 first = (draw.place.xy + 0.5) / TILE;
    return weight.x * textureLod(tile, p.yz * scale + first, level).r
        + weight.y * textureLod(tile, p.xz * scale + first, level).r
        + weight.z * textureLod(tile, p.xy * scale + first, level).r;
}

// The stage's albedo where `wide` metres are seen at once, with its sheets, which travel with a belt.
vec3 stage_albedo(vec2 p, float wide) {
    vec2 half_size = frame.stage.xy;
    vec2 q = vec2(mod(p.x - frame.stage.z + half_size.x, 2.0 * half_size.x) - half_size.x, p.y);
    float level = log2(max(wide * frame.stage_tile.x, 1e-3));
    vec2 uv = ((q + half_size) * frame.stage_tile.x + frame.stage_tile.yz + 0.5) / TILE;
    float brightness = 1.0 + frame.stage_rgb.w * textureLod(stage_pattern, uv, level).r;
    vec3 found = clamp(frame.stage_rgb.rgb * brightness, 0.0, 1.0);
    float soft = 1.0 / max(wide, 1e-5);
    for (int i = 0; i < int(frame.stage_tile.w); i++) {
        vec2 d = q - sheet_place[i].xy;
        float c = sheet_turn[i].x, s = sheet_turn[i].y;
        vec2 beyond = abs(vec2(c * d.x + s * d.y, c * d.y - s * d.x)) - sheet_place[i].zw;
        float edge = max(beyond.x, beyond.y);
        float cover = clamp(0.5 - edge * soft, 0.0, 1.0);
        float line = clamp(1.0 - abs(edge + 0.5 * SHEET_EDGE_M) / max(SHEET_EDGE_M, wide), 0.0, 1.0) * min(SHEET_EDGE_M / max(wide, 1e-5), 1.0);
        found = mix(found, sheet_rgb[i].rgb * (1.0 - 0.25 * line), cover);
    }
    return found;
}

// ---------------------------------------------------------------------------------------------------------- matter

struct Matter {
    vec3 albedo;
    float metallic;
    float alpha;        // roughness squared
    vec3 normal;
    float open;         // 0 where no ambient light comes
    float sunlit;       // 0 in the key light's shadow
    vec3 below;         // radiance from below the horizon, on average
    vec3 mirrored;      // and where it is mirrored
    float anisotropy;
    vec3 along;         // direction of brushing
};

float smith(float nov, float nol, float a2) {
    return 0.5 / (nol * sqrt(nov * nov * (1.0 - a2) + a2) + nov * sqrt(nol * nol * (1.0 - a2) + a2));
}

vec3 reflected(Matter m, vec3 v) {
#ifdef PART
    // The mirror direction of brushed metal bends towards the brushing (Revie 2011, in GPU Pro 2).
    vec3 across = cross(m.along, v);
    vec3 bent = normalize(mix(m.normal, cross(across, m.along), m.anisotropy * min(4.0 * sqrt(m.alpha), 1.0)) + 1e-6 * m.normal);
    return reflect(-v, bent);
#else
    return reflect(-v, m.normal);
#endif
}

vec3 radiance(Matter m, vec3 v) {
    vec3 f0 = mix(vec3(0.04), m.albedo, m.metallic), matt = m.albedo * (1.0 - m.metallic);
    float nov = max(dot(m.normal, v), 1e-3), roughness = sqrt(m.alpha);
    vec2 ab = textureLod(response, vec2(nov, roughness), 0.0).rg;
    vec3 once = f0 * ab.x + ab.y;
    float kept = ab.x + ab.y;
    vec3 mean = f0 + (1.0 - f0) / 21.0;
    vec3 again = (1.0 - kept) * once * mean / (1.0 - mean * (1.0 - kept));
    vec3 diffuse = matt * (1.0 - once - again);

    vec3 r = reflected(m, v);
    vec4 seen = textureLod(environment, sphere_uv(r), roughness * LEVELS);
    float mirror_open = clamp(pow(nov + m.open, exp2(-16.0 * roughness - 1.0)) - 1.0 + m.open, 0.0, 1.0);  // Lagarde 2014
#if defined(STAGE) || defined(FLOOR)
    vec3 arriving = frame.ambient.rgb;
#else
    vec3 arriving = textureLod(irradiance, sphere_uv(m.normal), 0.0).rgb + 0.5 * (1.0 - m.normal.z) * m.below;
#endif
    vec3 light = once * (seen.rgb + seen.a * m.mirrored) * mirror_open + (again + diffuse) * arriving * m.open;

    float nol = max(dot(m.normal, frame.sun.xyz), 0.0);
    vec3 h = normalize(v + frame.sun.xyz);
    float noh = max(dot(m.normal, h), 0.0), voh = max(dot(v, h), 0.0);
    float alpha = min(m.alpha + 0.25 * frame.bounce.w, 1.0);  // a wide light widens the lobe (Karis 2013)
    float a2 = alpha * alpha;
#ifdef PART
    float aspect = sqrt(1.0 - 0.9 * m.anisotropy), narrow = alpha / aspect, broad = alpha * aspect;
    vec3 side = cross(m.normal, m.along);
    vec3 lobe = vec3(dot(m.along, h) / narrow, dot(side, h) / broad, noh);
    float spread = 1.0 / (PI * narrow * broad * pow(max(dot(lobe, lobe), 1e-6), 2.0));
#else
    float spread = a2 / (PI * pow(noh * noh * (a2 - 1.0) + 1.0, 2.0));
#endif
    vec3 fresnel = f0 + (1.0 - f0) * pow(1.0 - voh, 5.0);
    vec3 highlight = PI * spread * smith(nov, max(nol, 1e-3), a2) * fresnel * (1.0 + f0 * (1.0 / kept - 1.0));
    light += (diffuse + highlight) * frame.key.rgb * nol * (1.0 - frame.key.w * (1.0 - m.sunlit));
    return min(light, vec3(BRIGHTEST));
}

// What a white card lying on the stage gives back.
vec3 card(float sunlit) {
    return frame.key.rgb * frame.sun.z * (1.0 - frame.key.w * (1.0 - sunlit)) + frame.ambient.rgb;
}

float filtered_alpha(float roughness, vec3 n) {
    vec3 dx = dFdx(n), dy = dFdy(n);
    float kernel = min(0.318 * (dot(dx, dx) + dot(dy, dy)), 0.18);
    float a = max(roughness * roughness, 0.002);
    return clamp(sqrt(a * a + kernel), 0.002, 1.0);
}

#if defined(PART)

// The thread that the mesh leaves out: the slope of its flanks along z, its shade, and what is too fine to be seen.
float thread_slope(out float cavity, out float lost) {
    float pitch = draw.thread.x, radius = draw.thread.y;
    float from_axis = length(v_local.xy);
    float cycles = length(vec2(dFdx(v_local.z), dFdy(v_local.z))) / pitch;
    float inside = step(draw.thread.z, v_local.z) * step(v_local.z, draw.thread.w)
        * step(abs(from_axis - radius), 0.15 * radius) * step(abs(v_local_normal.z), 0.5);
    float shown = inside * (1.0 - smoothstep(0.22, 0.48, cycles));
    float turn = atan(v_local.y, v_local.x) - 2.0 * PI * v_local.z / pitch;
    cavity = 1.0 - inside * 0.25 + shown * 0.25 * cos(turn);
    lost = 0.35 * (inside - shown);
    return shown * 1.4 * clamp(1.6 * sin(turn), -1.0, 1.0);
}

void main() {
    vec3 v = normalize(frame.eye.xyz - v_world);
    float cavity, lost;
    mat3 turned = mat3(draw.world_from_local);
    vec3 surface = normalize(v_normal);
    float slope = thread_slope(cavity, lost);
    float value = pattern(v_local, v_local_normal);
    Matter m;
    m.normal = normalize(surface + turned * vec3(0.0, 0.0, slope));
    m.normal = normalize(m.normal + max(0.02 - dot(m.normal, v), 0.0) * v);  // never away from the eye
    m.albedo = clamp(draw.base.rgb * (1.0 + draw.finish.y * value), 0.0, 1.0);
    m.metallic = draw.base.w;
    float roughness = clamp(draw.finish.x * (1.0 - 0.5 * draw.finish.y * value), 0.04, 1.0);
    m.alpha = min(filtered_alpha(roughness, surface) + 0.5 * lost, 1.0);
    float depth = 1.0 / gl_FragCoord.w;
    m.open = openness(depth) * cavity;
    m.sunlit = lit(v_world + surface * 2e-4, surface);
    vec3 axis = abs(v_local_normal.x) > 0.7 ? turned[1] : turned[0];
    m.along = normalize(axis - dot(axis, m.normal) * m.normal + 1e-5 * turned[2]);
    m.anisotropy = draw.finish.w;

    // Below the horizon lies the stage, lit and shaded as it is, or the floor beyond its edge.
    vec3 r = reflected(m, v);
    vec3 down = normalize(vec3(r.xy, min(r.z, -0.04 - 0.5 * m.alpha)));
    float away = max(v_world.z, 1e-4) / -down.z;
    vec2 hit = v_world.xy + down.xy * away;
    float wide = away * m.alpha + 1e-3;
    float edge = max(abs(hit.x) - frame.stage.x, abs(hit.y) - frame.stage.y);
    float near = frame.ambient.w * 0.6 * exp(-away / 0.006);  // close to where it stands the stage is dim
    vec3 shown = stage_albedo(hit, wide) * card(lit_roughly(vec3(hit, 0.0), 0.5 * wide + 5e-4)) * (1.0 - near);
    m.mirrored = mix(shown, frame.bounce.rgb, smoothstep(-0.5 * wide, 0.5 * wide + 1e-4, edge));
    m.below = stage_albedo(v_world.xy, 0.03) * card(0.5 + 0.5 * m.sunlit);
    out_radiance = vec4(radiance(m, v), 1.0);
}

#elif defined(BODY)

void main() {
    vec3 v = normalize(frame.eye.xyz - v_world);
    float value = pattern(v_local, v_local_normal);
    Matter m;
    m.normal = normalize(v_normal);
    m.albedo = clamp(draw.base.rgb * (1.0 + draw.finish.y * value), 0.0, 1.0);
    m.metallic = draw.base.w;
    m.alpha = filtered_alpha(draw.finish.x, m.normal);
    m.open = openness(1.0 / gl_FragCoord.w);
    m.sunlit = lit(v_world, m.normal);
    m.below = frame.bounce.rgb;
    m.mirrored = m.below;
    out_radiance = vec4(radiance(m, v), 1.0);
}

#elif defined(STAGE)

void main() {
    vec3 v = normalize(frame.eye.xyz - v_world);
    Matter m;
    m.normal = vec3(0.0, 0.0, 1.0);
    m.albedo = stage_albedo(v_world.xy, max(length(dFdx(v_world)), length(dFdy(v_world))));
    m.metallic = draw.base.w;
    m.alpha = max(draw.finish.x * draw.finish.x, 0.002);
    m.open = openness(1.0 / gl_FragCoord.w);
    m.sunlit = lit(v_world, m.normal);
    m.below = vec3(0.0);
    m.mirrored = m.albedo * card(1.0);  // at a flat angle a rough lobe meets the stage again
    out_radiance = vec4(radiance(m, v), 1.0);
}

#elif defined(FLOOR)

void main() {
    vec3 v = normalize(frame.eye.xyz - v_world);
    float wide = max(length(dFdx(v_world)), length(dFdy(v_world)));
    float value = textureLod(tile, (v_world.xy * draw.finish.z + draw.place.xy + 0.5) / TILE, log2(max(wide * draw.finish.z, 1e-3))).r;
    Matter m;
    m.normal = vec3(0.0, 0.0, 1.0);
    m.albedo = clamp(draw.base.rgb * max(1.0 + draw.finish.y * value, 0.0), 0.0, 1.0);
    m.metallic = draw.base.w;
    m.alpha = max(draw.finish.x * draw.finish.x, 0.002);
    m.open = textureLod(floor_open, v_world.xy * (0.5 / frame.floor_rgb.w) + 0.5, 0.0).r * openness(1.0 / gl_FragCoord.w);
    m.sunlit = lit(v_world, m.normal);
    m.below = vec3(0.0);
    m.mirrored = m.albedo * card(1.0);
    out_radiance = vec4(radiance(m, v), 1.0);
}

#endif
