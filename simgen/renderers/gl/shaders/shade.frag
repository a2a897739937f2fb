// Shading of one kind of surface: PART, BODY, STAGE or FLOOR.
//
// Metallic-roughness microfacets. Distribution of normals: GGX (Walter et al. 2007, "Microfacet Models for Refraction
// through Rough Surfaces", eq. 33; anisotropic: Burley 2012, "Physically Based Shading at Disney", app. B.2). Masking and
// shadowing: Smith, height-correlated (Heitz 2014, "Understanding the Masking-Shadowing Function", eq. 99). Fresnel:
// Schlick 1994. Image-based light: split sum (Karis 2013) with multiple scattering put back (Fdez-Aguera 2019, "A
// Multiple-Scattering Microfacet Model for Real-Time Image-based Lighting"), so that a white surface in a uniform
// environment vanishes. Highlights are filtered over the pixel (Tokuyoshi and Kaplanyan 2019). Shadows: percentage-closer
// soft shadows (Fernando 2005) whose blockers must lie within the light's cone.
//
// PHOTO: the picture's background is a photo. The fourth channel is the share of its light that is seen: 0 on parts.
//
// MATTER adds procedural materials: two substances and a relief by a tile laid on three planes, or round the axis
// (LATHE); normals from the gradients of its height (Mikkelsen 2010, "Bump Mapping Unparametrized Surfaces on the GPU"),
// which turn into roughness where they are too fine to be seen (Toksvig 2005: alpha^2 grows by the lost slopes'
// variance); a clear coat of index 1.5 that takes its own reflection from what is below it; wear.
// LAMPS adds lights at places. A softbox's irradiance is Lambert's formula for a polygon, cut off at the horizon as a
// sphere would be (Hill and Heitz 2016, "Real-Time Area Lighting: a Journey from Research to Production"); its highlight
// takes the point of it nearest to the mirror direction and widens the lobe (Karis 2013), which is right for mirrors and
// for rough surfaces and an approximation between.

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
uniform sampler2D wear_colour;  // of what covers the surface, times how much; how much
uniform sampler2D wear_rest;    // metal times cover, rougher or smoother, slopes
uniform sampler2D lamp_map;
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
#ifdef COLOURED
in vec3 v_colour;             // of a part whose CAD file has colours: they replace the base colour of its finish
#define BASE_RGB v_colour
#else
#define BASE_RGB draw.base.rgb
#endif
layout(location = 0) out vec4 out_radiance;

#if defined(PART) || defined(MATTER)
#define ANISOTROPIC
#endif
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

// Share of the key light that reaches p, with surface normal n. Loops of zero iterations replace branches: a CPU
// rasterizer runs both sides of a branch, but skips a loop.
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

// A cheap blurred look-up, for reflected points.
float lit_roughly(vec3 p, float wide_m) {
    vec3 at = (frame.shadow_from_world[MAP] * vec4(p, 1.0)).xyz;
    vec2 wide = vec2(1.0, 0.3) * (wide_m / frame.shadow_scale[MAP].x);
    float depth = at.z - BIAS_M / frame.shadow_scale[MAP].y;
    return 0.25 * (textureLod(shadow_test, vec3(at.xy + wide, depth), 0.0)
        + textureLod(shadow_test, vec3(at.xy - wide, depth), 0.0)
        + textureLod(shadow_test, vec3(at.xy + vec2(-wide.y, wide.x), depth), 0.0)
        + textureLod(shadow_test, vec3(at.xy + vec2(wide.y, -wide.x), depth), 0.0));
}

// Ambient visibility from the four nearest half-resolution pixels, weighted to those at about the same depth.
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

// A solid's pattern at a point, by triplanar mapping: the tile on three planes, weighted by the normal.
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

// A point of the stage in the belt's coordinates.
vec2 on_belt(vec2 p) {
    vec2 half_size = frame.stage.xy;
    return vec2(mod(p.x - frame.stage.z + half_size.x, 2.0 * half_size.x) - half_size.x, p.y);
}

// Albedo at a point of the belt with the sheets on it.
vec3 with_sheets(vec3 found, vec2 q, float wide, out float covered) {
    float soft = 1.0 / max(wide, 1e-5);
    covered = 0.0;
    for (int i = 0; i < int(frame.stage_tile.w); i++) {
        vec2 d = q - sheet_place[i].xy;
        float c = sheet_turn[i].x, s = sheet_turn[i].y;
        vec2 beyond = abs(vec2(c * d.x + s * d.y, c * d.y - s * d.x)) - sheet_place[i].zw;
        float edge = max(beyond.x, beyond.y);
        float cover = clamp(0.5 - edge * soft, 0.0, 1.0);
        float line = clamp(1.0 - abs(edge + 0.5 * SHEET_EDGE_M) / max(SHEET_EDGE_M, wide), 0.0, 1.0) * min(SHEET_EDGE_M / max(wide, 1e-5), 1.0);
        found = mix(found, sheet_rgb[i].rgb * (1.0 - 0.25 * line), cover);
        covered = max(covered, cover);
    }
    return found;
}

// The stage's albedo with its sheets, filtered over `wide` metres. Both move with a belt.
vec3 stage_albedo(vec2 p, float wide) {
    vec2 q = on_belt(p);
    float texels = frame.stage_tile.x * float(textureSize(stage_pattern, 0).x) / TILE;
    float level = log2(max(wide * texels, 1e-3));
    vec2 uv = ((q + frame.stage.xy) * frame.stage_tile.x + frame.stage_tile.yz + 0.5) / TILE;
    vec4 texel = textureLod(stage_pattern, uv, level);
    float brightness = 1.0 + frame.stage_rgb.w * texel.r;
    vec3 found = clamp(frame.stage_rgb.rgb * brightness, 0.0, 1.0);
    found = mix(found, frame.stage_second.rgb, texel.g);  // a plain texture's is 0
    float covered;
    return with_sheets(found, q, wide, covered);
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
#ifdef MATTER
    vec3 smooth_normal; // of the coat
    float coat;
    float coat_alpha;
#endif
#ifdef LAMPS
    vec3 place;
#endif
};

float smith(float nov, float nol, float a2) {
    return 0.5 / (nol * sqrt(nov * nov * (1.0 - a2) + a2) + nov * sqrt(nol * nol * (1.0 - a2) + a2));
}

vec3 reflected(Matter m, vec3 v) {
#ifdef ANISOTROPIC
    // The mirror direction of brushed metal bends towards the brushing (Revie 2011, in GPU Pro 2).
    vec3 across = cross(m.along, v);
    vec3 bent = normalize(mix(m.normal, cross(across, m.along), m.anisotropy * min(4.0 * sqrt(m.alpha), 1.0)) + 1e-6 * m.normal);
    return reflect(-v, bent);
#else
    return reflect(-v, m.normal);
#endif
}

// A lobe round the mirror direction, times pi: what a light of irradiance 1 from l gives, over the cosine. The lobe's
// height is that of `alpha`; its masking that of `wide`.
float lobe(Matter m, vec3 v, vec3 l, float alpha, float wide) {
    float nov = max(dot(m.normal, v), 1e-3), nol = max(dot(m.normal, l), 0.0);
    vec3 h = normalize(v + l);
    float noh = max(dot(m.normal, h), 0.0);
#ifdef ANISOTROPIC
    float aspect = sqrt(1.0 - 0.9 * m.anisotropy), coarse = alpha / aspect, fine = alpha * aspect;
    vec3 side = cross(m.normal, m.along);
    vec3 at = vec3(dot(m.along, h) / fine, dot(side, h) / coarse, noh);  // grooves spread light across themselves
    float spread = 1.0 / (PI * fine * coarse * pow(max(dot(at, at), 1e-6), 2.0));
#else
    float a2 = alpha * alpha;
    float spread = a2 / (PI * pow(noh * noh * (a2 - 1.0) + 1.0, 2.0));
#endif
    return PI * spread * smith(nov, max(nol, 1e-3), wide * wide);
}

#ifdef MATTER
float coat_lobe(Matter m, vec3 v, vec3 l, float alpha, float wide) {
    float nov = max(dot(m.smooth_normal, v), 1e-3), nol = max(dot(m.smooth_normal, l), 1e-3);
    vec3 h = normalize(v + l);
    float noh = max(dot(m.smooth_normal, h), 0.0), a2 = alpha * alpha;
    float spread = a2 / (PI * pow(noh * noh * (a2 - 1.0) + 1.0, 2.0));
    return PI * spread * smith(nov, nol, wide * wide) * (0.04 + 0.96 * pow(1.0 - max(dot(v, h), 0.0), 5.0)) * m.coat;
}
#endif

// The surface's response to light from a direction.
struct Answer {
    vec3 f0;
    vec3 diffuse;
    vec3 gain;      // of highlights, for what is scattered twice
    float through;  // share that the coat lets through
};

vec3 lit_by(Matter m, Answer a, vec3 v, vec3 l, float wide) {
    float alpha = min(m.alpha + wide, 1.0);  // a wide light widens the lobe (Karis 2013)
    vec3 fresnel = a.f0 + (1.0 - a.f0) * pow(1.0 - max(dot(v, normalize(v + l)), 0.0), 5.0);
    vec3 light = (a.diffuse + lobe(m, v, l, alpha, alpha) * fresnel * a.gain) * max(dot(m.normal, l), 0.0);
#ifdef MATTER
    float coat_alpha = min(m.coat_alpha + wide, 1.0);
    light = light * a.through + coat_lobe(m, v, l, coat_alpha, coat_alpha) * max(dot(m.smooth_normal, l), 0.0);
#endif
    return light;
}

#ifdef LAMPS
// Share of a lamp's source that is visible from p, as `lit` for the key light.
float lamp_open(int i, vec3 p, vec3 n, vec3 l, float diameter_seen) {
    vec4 clip = lamps.clip_from_world[i] * vec4(p, 1.0);
    vec2 at = clip.xy / clip.w * 0.5 + 0.5;
    vec4 scale = lamps.lamp_scale[i];
    vec3 toward = lamps.lamp_toward[i].xyz;
    float along = dot(p - lamps.lamp_place[i].xyz, toward), across = scale.x + scale.y * along;
    float facing = max(-dot(n, toward), 0.2), cone = 0.5 * diameter_seen;
    vec2 rise = vec2(dot(n, lamps.lamp_right[i].xyz), dot(n, lamps.lamp_up[i].xyz)) / facing;  // of the surface, m per m
    float turn = 2.0 * PI * fract(52.9829189 * fract(dot(gl_FragCoord.xy, vec2(0.06711056, 0.00583715))));
    mat2 spin = mat2(cos(turn), sin(turn), -sin(turn), cos(turn));
    float texel_m = across * 1.0 / LAMP_TEXELS, bias = BIAS_M + texel_m;
    float search = min(scale.w * cone, 0.2 * across) + texel_m;  // metres
    float blockers = 0.0, gaps = 0.0;
    vec2 low = vec2(float(i) / float(MAX_LAMPS), 0.0), size = vec2(1.0 / float(MAX_LAMPS), 1.0);
    bool outside = any(greaterThan(abs(at - 0.5), vec2(0.499))) || along <= 0.0;
    int taps = outside ? 0 : SEARCH_TAPS;
    for (int k = 0; k < taps; k++) {
        vec2 tap = spin * SPIRAL(k) * (float(k) / float(SEARCH_TAPS) * search);
        float seen = textureLod(lamp_map, low + clamp(at + tap / across, 0.0, 1.0) * size, 0.0).r * scale.z;
        float gap = along + dot(rise, tap) - seen;
        float within = step(bias, gap) * step(length(tap), gap * cone + 1.5 * texel_m);
        blockers += within;
        gaps += within * gap;
    }
    taps = blockers > 0.0 ? FILTER_TAPS : 0;
    float mean = gaps / max(blockers, 1.0);
    float wide = clamp(mean * cone * along / max(along - mean, 0.05), texel_m, search);
    float open = taps == 0 ? float(FILTER_TAPS) : 0.0;
    for (int k = 0; k < taps; k++) {
        vec2 tap = spin * SPIRAL(k) * (sqrt((float(k) + 0.5) / float(FILTER_TAPS)) * wide);
        float seen = textureLod(lamp_map, low + clamp(at + tap / across, 0.0, 1.0) * size, 0.0).r * scale.z;
        open += step(along + dot(rise, tap) - bias, seen);
    }
    return open / float(FILTER_TAPS);
}

// The integral of the direction over a quadrilateral's edges, over 2 pi: its length is the irradiance, over pi, of a card that
// faces it, if all of it is above the horizon.
vec3 edge_integral(vec3 a, vec3 b) {
    float cosine = clamp(dot(a, b), -0.9999, 0.9999);
    return cross(a, b) * (acos(cosine) / sqrt(1.0 - cosine * cosine));
}

#ifdef PHOTO
float lamp_shadows = 1.0;  // 0: as if nothing stood in the light's way
#endif

vec3 from_lamps(Matter m, Answer a, vec3 v) {
    vec3 sum = vec3(0.0);
    for (int i = 0; i < int(lamps.lamp_card.w); i++) {
        vec3 away = lamps.lamp_place[i].xyz - m.place, toward = lamps.lamp_toward[i].xyz;
        float kind = lamps.lamp_place[i].w, diameter = lamps.lamp_light[i].w, far2 = dot(away, away);
        vec3 l = kind < 0.5 ? -toward : away * inversesqrt(far2);
        float distance = kind < 0.5 ? length(lamps.lamp_place[i].xyz) : sqrt(far2);
        float angle = diameter / distance;
        vec3 light = vec3(0.0);
        if (kind < 1.5) {
            float outer = lamps.lamp_toward[i].w;
            float cone = kind < 0.5 ? 1.0 : smoothstep(outer, mix(outer, 1.0, 0.2), -dot(l, toward)) / far2;
            light = lit_by(m, a, v, l, 0.25 * angle) * cone;
        } else {
            vec3 right = lamps.lamp_right[i].xyz * lamps.lamp_right[i].w, up = lamps.lamp_up[i].xyz * lamps.lamp_up[i].w;
            vec3 c0 = normalize(away - right - up), c1 = normalize(away + right - up);
            vec3 c2 = normalize(away + right + up), c3 = normalize(away - right + up);
            vec3 flux = (edge_integral(c0, c1) + edge_integral(c1, c2) + edge_integral(c2, c3) + edge_integral(c3, c0)) / (2.0 * PI);
            float front = step(0.0, -dot(away, toward)), whole = length(flux);
            flux *= sign(dot(flux, away));
            float falls = max((whole * whole + dot(flux, m.normal)) / (whole + 1.0), 0.0);
            light = a.diffuse * falls;
            // The point of the box nearest to the mirror direction.
            vec3 r = reflected(m, v);
            float reach = dot(away, toward) / min(dot(r, toward), -1e-3);
            vec3 hit = (reach > 0.0 ? r * reach : r * 1e3) - away;
            vec3 nearest = away + clamp(dot(hit, lamps.lamp_right[i].xyz), -lamps.lamp_right[i].w, lamps.lamp_right[i].w) * lamps.lamp_right[i].xyz
                + clamp(dot(hit, lamps.lamp_up[i].xyz), -lamps.lamp_up[i].w, lamps.lamp_up[i].w) * lamps.lamp_up[i].xyz;
            vec3 to = normalize(nearest);
            float flat_sr = 4.0 * lamps.lamp_right[i].w * lamps.lamp_up[i].w * max(-dot(to, toward), 0.0) / dot(nearest, nearest);
            float solid = flat_sr / (1.0 + flat_sr / (2.0 * PI)), widened = m.alpha + 0.5 * sqrt(solid / PI);
            float lower = m.alpha / widened;
            vec3 fresnel = a.f0 + (1.0 - a.f0) * pow(1.0 - max(dot(v, normalize(v + to)), 0.0), 5.0);
            light += lobe(m, v, to, m.alpha, min(widened, 1.0)) * lower * lower * fresnel * a.gain * (solid / PI) * max(dot(m.normal, to), 0.0);
#ifdef MATTER
            widened = m.coat_alpha + 0.5 * sqrt(solid / PI);
            lower = m.coat_alpha / widened;
            light = light * a.through + coat_lobe(m, v, to, m.coat_alpha, min(widened, 1.0)) * lower * lower * (solid / PI) * max(dot(m.smooth_normal, to), 0.0);
#endif
            light *= front;
        }
        float open = lamp_open(i, m.place, m.normal, l, angle);
#ifdef PHOTO
        open = 1.0 - lamp_shadows * (1.0 - open);
#endif
        sum += light * lamps.lamp_light[i].rgb * (1.0 - frame.key.w * (1.0 - open));
    }
    return sum;
}
#endif

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
    Answer answer = Answer(f0, diffuse, 1.0 + f0 * (1.0 / kept - 1.0), 1.0);
#ifdef MATTER
    // The coat reflects its share; the layer below gets the rest.
    float coat_nov = max(dot(m.smooth_normal, v), 1e-3), coat_roughness = sqrt(m.coat_alpha);
    vec2 coat_ab = textureLod(response, vec2(coat_nov, coat_roughness), 0.0).rg;
    float shine = m.coat * (0.04 * coat_ab.x + coat_ab.y);
    vec4 coat_seen = textureLod(environment, sphere_uv(reflect(-v, m.smooth_normal)), coat_roughness * LEVELS);
    light = light * (1.0 - shine) + shine * (coat_seen.rgb + coat_seen.a * m.mirrored) * mirror_open;
    answer.through = 1.0 - shine;
#endif
    light += lit_by(m, answer, v, frame.sun.xyz, 0.25 * frame.bounce.w) * frame.key.rgb * (1.0 - frame.key.w * (1.0 - m.sunlit));
#ifdef LAMPS
    light += from_lamps(m, answer, v);
#endif
    return min(light, vec3(BRIGHTEST));
}

// Radiance of a white card on the stage.
vec3 card(float sunlit) {
#ifdef LAMPS
    return frame.key.rgb * frame.sun.z * (1.0 - frame.key.w * (1.0 - sunlit)) + frame.ambient.rgb + lamps.lamp_card.rgb;
#else
    return frame.key.rgb * frame.sun.z * (1.0 - frame.key.w * (1.0 - sunlit)) + frame.ambient.rgb;
#endif
}

float filtered_alpha(float roughness, vec3 n) {
    vec3 dx = dFdx(n), dy = dFdy(n);
    float kernel = min(0.318 * (dot(dx, dx) + dot(dy, dy)), 0.18);
    float a = max(roughness * roughness, 0.002);
    return clamp(sqrt(a * a + kernel), 0.002, 1.0);
}

#ifdef MATTER
// The tile's value on the surface, and the gradient of its height along the local axes.
struct Laid {
    vec4 texel;
    vec3 rise;
};

float level_of(float tiles, sampler2D source) {
    float wide = max(length(dFdx(v_world)), length(dFdy(v_world)));
    return log2(max(wide * tiles * float(textureSize(source, 0).x), 1e-3));
}

vec3 three_planes(vec3 n) {
    vec3 weight = abs(n) * abs(n);
    weight *= weight;
    return weight / (weight.x + weight.y + weight.z);
}

Laid laid(sampler2D source, vec3 p, vec3 n, float tiles, vec2 first, float level) {
    vec3 weight = three_planes(n), at = p * tiles;
    vec4 x = textureLod(source, at.yz + first, level), y = textureLod(source, at.xz + first, level), z = textureLod(source, at.xy + first, level);
    vec3 rise = weight.x * vec3(0.0, x.z, x.w) + weight.y * vec3(y.z, 0.0, y.w) + weight.z * vec3(z.z, z.w, 0.0);
    return Laid(weight.x * x + weight.y * y + weight.z * z, rise);
}

#ifdef LATHE
// u runs four times around the axis, v along the profile: the height on the flank, the radius on an end face.
Laid turned_on_lathe(vec3 p, vec3 n, float level) {
    float radius = max(length(p.xy), 1e-6), u = atan(p.y, p.x) * (4.0 / (2.0 * PI)) + draw.place.x;
    vec2 out_ = p.xy / radius;
    vec4 flank = textureLod(tile, vec2(u, p.z * draw.finish.z + draw.place.y), level);
    vec4 face = textureLod(tile, vec2(u, radius * draw.finish.z + draw.place.y), level);
    float share = smoothstep(0.5, 0.85, abs(n.z));
    vec3 rise = mix(vec3(-out_.y * flank.z, out_.x * flank.z, flank.w), vec3(-out_.y * face.z + out_.x * face.w, out_.x * face.z + out_.y * face.w, 0.0), share);
    return Laid(mix(flank, face, share), rise);
}
#endif

// The material's properties at a point p with normal n (both local); `surface` is the normal in the world.
Matter matter(vec3 p, vec3 n, mat3 turned, vec3 surface, float lost_thread) {
    float level = level_of(draw.finish.z, tile);
#ifdef LATHE
    Laid own = turned_on_lathe(p, n, level);
#else
    Laid own = laid(tile, p, n, draw.finish.z, draw.place.xy, level);
#endif
    float value = own.texel.x, mask = clamp(own.texel.y, 0.0, 1.0);
    float lost = clamp(0.25 + 0.5 * (level - draw.coat.z) * draw.coat.w, 0.0, 1.0);
    Matter m;
    vec3 rgb = mix(clamp(BASE_RGB * (1.0 + draw.finish.y * value), 0.0, 1.0), draw.second.rgb, mask);
    m.metallic = mix(draw.base.w, draw.second.w, mask);
    float roughness = mix(draw.finish.x * (1.0 - draw.relief.y * value), draw.relief.x, mask);
    vec3 rise = own.rise * draw.relief.z;
    float coat = draw.coat.x * (1.0 - mask);
    for (int i = 0; i < (draw.worn.w > 0.5 ? 1 : 0); i++) {  // a loop of one turn stands for a branch
        float worn_level = level_of(draw.worn.x, wear_colour);
        vec3 weight = three_planes(n), at = p * draw.worn.x;
        vec4 cover = weight.x * textureLod(wear_colour, at.yz + draw.worn.yz, worn_level) + weight.y * textureLod(wear_colour, at.xz + draw.worn.yz, worn_level)
            + weight.z * textureLod(wear_colour, at.xy + draw.worn.yz, worn_level);
        Laid worn = laid(wear_rest, p, n, draw.worn.x, draw.worn.yz, worn_level);
        rgb = rgb * (1.0 - cover.a) + cover.rgb;
        m.metallic = m.metallic * (1.0 - cover.a) + worn.texel.x;
        roughness += worn.texel.y * (worn.texel.y > 0.0 ? 1.0 - roughness : roughness);
        rise = rise * (1.0 - cover.a) + worn.rise;
        coat *= 1.0 - cover.a;
    }
    m.albedo = rgb;
    m.smooth_normal = surface;
    m.normal = normalize(surface - turned * (rise - dot(rise, n) * n));
    float fine = draw.relief.z * draw.relief.z * lost;
    float alpha = filtered_alpha(clamp(roughness, 0.04, 1.0), surface);
    m.alpha = min(sqrt(alpha * alpha + min(fine, 0.25)) + 0.5 * lost_thread, 1.0);
    m.coat = coat;
    m.coat_alpha = filtered_alpha(draw.coat.y, surface);
    m.anisotropy = draw.finish.w * (1.0 - mask);
#ifdef LATHE
    vec3 axis = turned * vec3(-p.y, p.x, 0.0) * inversesqrt(max(dot(p.xy, p.xy), 1e-12));
#else
    vec3 axis = abs(n.x) > 0.7 ? turned[1] : turned[0];
#endif
    m.along = axis;
    m.below = vec3(0.0);
    m.mirrored = vec3(0.0);
    m.open = 1.0;
    m.sunlit = 1.0;
#ifdef LAMPS
    m.place = v_world;
#endif
    return m;
}

// Turn the normals to the eye, and the brushing direction into the surface.
void face(inout Matter m, vec3 v) {
    m.normal = normalize(m.normal + max(0.02 - dot(m.normal, v), 0.0) * v);
    m.smooth_normal = normalize(m.smooth_normal + max(0.02 - dot(m.smooth_normal, v), 0.0) * v);
    vec3 along = m.along - dot(m.along, m.normal) * m.normal;
    m.along = normalize(along + 1e-5 * vec3(0.37, 0.59, 0.71));
}
#endif

#if defined(PART)

// The thread, which the mesh leaves out: slope of its flanks along z, ambient visibility, and roughness of unresolved turns.
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
#ifdef MATTER
    vec3 relieved = normalize(surface + turned * vec3(0.0, 0.0, slope));
    Matter m = matter(v_local, normalize(v_local_normal), turned, surface, lost);
    m.normal = normalize(m.normal + relieved - surface);
    m.smooth_normal = relieved;
    face(m, v);
#else
    float value = pattern(v_local, v_local_normal);
    Matter m;
    m.normal = normalize(surface + turned * vec3(0.0, 0.0, slope));
    m.normal = normalize(m.normal + max(0.02 - dot(m.normal, v), 0.0) * v);  // never away from the eye
    m.albedo = clamp(BASE_RGB * (1.0 + draw.finish.y * value), 0.0, 1.0);
    m.metallic = draw.base.w;
    float roughness = clamp(draw.finish.x * (1.0 - 0.5 * draw.finish.y * value), 0.04, 1.0);
    m.alpha = min(filtered_alpha(roughness, surface) + 0.5 * lost, 1.0);
    vec3 axis = abs(v_local_normal.x) > 0.7 ? turned[1] : turned[0];
    m.along = normalize(axis - dot(axis, m.normal) * m.normal + 1e-5 * turned[2]);
    m.anisotropy = draw.finish.w;
#endif
#ifdef LAMPS
    m.place = v_world + surface * 2e-4;
#endif
    float depth = 1.0 / gl_FragCoord.w;
    m.open = openness(depth) * cavity;
    m.sunlit = lit(v_world + surface * 2e-4, surface);

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
    out_radiance = vec4(radiance(m, v), 0.0);
}

#elif defined(BODY)

void main() {
    vec3 v = normalize(frame.eye.xyz - v_world);
    vec3 surface = normalize(v_normal);
#ifdef MATTER
    Matter m = matter(v_local, normalize(v_local_normal), mat3(draw.world_from_local), surface, 0.0);
    face(m, v);
#else
    float value = pattern(v_local, v_local_normal);
    Matter m;
    m.normal = surface;
    m.albedo = clamp(draw.base.rgb * (1.0 + draw.finish.y * value), 0.0, 1.0);
    m.metallic = draw.base.w;
    m.alpha = filtered_alpha(draw.finish.x, m.normal);
#endif
#ifdef LAMPS
    m.place = v_world;
#endif
    m.open = openness(1.0 / gl_FragCoord.w);
    m.sunlit = lit(v_world, surface);
    m.below = frame.bounce.rgb;
    m.mirrored = m.below;
    out_radiance = vec4(radiance(m, v), 0.0);
}

#elif defined(STAGE) && defined(PHOTO)

// The ground under parts on a photo: no light, and the share of its light that arrives.
void main() {
    vec3 up = vec3(0.0, 0.0, 1.0), sun = frame.key.rgb * frame.sun.z;
    vec3 arriving = sun * (1.0 - frame.key.w * (1.0 - lit(v_world, up)));
    arriving += frame.ambient.rgb * openness(1.0 / gl_FragCoord.w);
    vec3 whole = sun + frame.ambient.rgb;
#ifdef LAMPS
    Matter m;
    m.albedo = vec3(1.0);
    m.metallic = 0.0;
    m.alpha = 1.0;
    m.normal = up;
    m.place = v_world;
    Answer matt = Answer(vec3(0.0), vec3(1.0), vec3(0.0), 1.0);  // without highlights
    vec3 v = normalize(frame.eye.xyz - v_world);
    arriving += from_lamps(m, matt, v);
    lamp_shadows = 0.0;
    whole += from_lamps(m, matt, v);
#endif
    const vec3 LUMINANCE = vec3(0.2126, 0.7152, 0.0722);
    float share = dot(arriving, LUMINANCE) / max(dot(whole, LUMINANCE), 1e-6);
    out_radiance = vec4(0.0, 0.0, 0.0, min(share * 1.002, 1.0));  // half floats and occlusion round: bare ground has 1
}

#elif defined(FLOOR) && defined(PHOTO)

void main() { out_radiance = vec4(0.0, 0.0, 0.0, 1.0); }

#elif defined(STAGE)

void main() {
    vec3 v = normalize(frame.eye.xyz - v_world), up = vec3(0.0, 0.0, 1.0);
    float wide = max(length(dFdx(v_world)), length(dFdy(v_world)));
#ifdef MATTER
    vec2 q = on_belt(v_world.xy);
    Matter m = matter(vec3(q + frame.stage.xy, 0.0), up, mat3(1.0), up, 0.0);
    float covered;
    m.albedo = with_sheets(m.albedo, q, wide, covered);
    m.metallic *= 1.0 - covered;
    m.alpha = mix(m.alpha, 0.6, covered);
    m.normal = mix(m.normal, up, covered);
    m.coat *= 1.0 - covered;
    face(m, v);
#else
    Matter m;
    m.normal = up;
    m.albedo = stage_albedo(v_world.xy, wide);
    m.metallic = draw.base.w;
    m.alpha = max(draw.finish.x * draw.finish.x, 0.002);
#endif
#ifdef LAMPS
    m.place = v_world;
#endif
    m.open = openness(1.0 / gl_FragCoord.w);
    m.sunlit = lit(v_world, up);
    m.below = vec3(0.0);
    m.mirrored = m.albedo * card(1.0);  // at a flat angle a rough lobe meets the stage again
    out_radiance = vec4(radiance(m, v), 1.0);
}

#elif defined(FLOOR)

void main() {
    vec3 v = normalize(frame.eye.xyz - v_world);
    vec3 up = vec3(0.0, 0.0, 1.0);
#ifdef MATTER
    Matter m = matter(vec3(v_world.xy, 0.0), up, mat3(1.0), up, 0.0);
    face(m, v);
#else
    float wide = max(length(dFdx(v_world)), length(dFdy(v_world)));
    float value = textureLod(tile, (v_world.xy * draw.finish.z + draw.place.xy + 0.5) / TILE, log2(max(wide * draw.finish.z, 1e-3))).r;
    Matter m;
    m.normal = up;
    m.albedo = clamp(draw.base.rgb * max(1.0 + draw.finish.y * value, 0.0), 0.0, 1.0);
    m.metallic = draw.base.w;
    m.alpha = max(draw.finish.x * draw.finish.x, 0.002);
#endif
#ifdef LAMPS
    m.place = v_world;
#endif
    m.open = textureLod(floor_open, v_world.xy * (0.5 / frame.floor_rgb.w) + 0.5, 0.0).r * openness(1.0 / gl_FragCoord.w);
    m.sunlit = lit(v_world, up);
    m.below = vec3(0.0);
    m.mirrored = m.albedo * card(1.0);
    out_radiance = vec4(radiance(m, v), 1.0);
}

#endif
