// Values for all programs. Units: metres, radians; light: linear RGB, where a white card under irradiance 1 has radiance 1.
// The camera's frame is OpenCV's (x right, y down, z along the axis), and row 0 of every image is its top row.

const float PI = 3.14159265358979;

layout(std140) uniform Frame {
    mat4 clip_from_world;
    mat4 shadow_from_world[2];  // texture coordinates and depth in 0..1 of the near and the far map
    vec4 shadow_scale[2];       // metres across the map, metres of depth, 1 / texels, unused
    vec4 eye;
    vec4 camera_axes[3];        // rows of camera_from_world
    vec4 lens;                  // focal length, principal point (pixels), reach of occlusion on the stage (metres)
    vec4 sun;                   // towards the key light; tangent of half its angular diameter
    vec4 key;                   // its irradiance; share that a shadow takes away
    vec4 ambient;               // irradiance from everywhere else; how dark crevices are
    vec4 stage;                 // half its size in x and y, how far the belt has run, height of the floor (below 0)
    vec4 stage_rgb;             // albedo; contrast of its pattern
    vec4 stage_tile;            // texels in a metre, the texel at the stage's corner, number of sheets
    vec4 floor_rgb;             // albedo; half the side of the floor's map of openness
    vec4 bounce;                // radiance of the floor, for what mirrors or faces it; angular diameter of the key light
    vec4 stage_second;          // albedo where the mask of the stage's pattern is 1; unused
} frame;

layout(std140) uniform Draw {
    mat4 world_from_local;  // a rotation and a translation
    vec4 size;              // by which the mesh's vertices are multiplied; the id
    vec4 base;              // albedo, or a metal's reflectance at normal incidence; metallic
    vec4 finish;            // roughness, contrast, texels in a metre, anisotropy
    vec4 place;             // the texel at the origin; whether normals are smooth round z, unused
    vec4 thread;            // pitch, radius, lowest and highest z; empty where z sinks
    // Of procedural materials alone; there `finish` holds tiles in a metre, and `place` is in tiles.
    vec4 second;            // as `base`, where the mask is 1
    vec4 relief;            // its roughness; how much smoother what is brighter; slope of the relief; unused
    vec4 coat;              // share of a clear coat, its roughness; level at which the relief is lost, 1 / levels it takes
    vec4 worn;              // tiles of wear in a metre, the tile at the origin; 0 where there is none
} draw;
