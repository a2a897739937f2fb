// Lamps beside the key light. One texture holds their shadow maps side by side: the distance from the lamp, along the
// direction in which it shines, as a share of its range.
layout(std140) uniform Lamps {
    vec4 lamp_place[MAX_LAMPS];      // position; 0 directional, 1 spot, 2 softbox
    vec4 lamp_toward[MAX_LAMPS];     // in which it shines; cosine of half the spot's cone
    vec4 lamp_right[MAX_LAMPS];      // unit vector; half the softbox's width
    vec4 lamp_up[MAX_LAMPS];         // unit vector; half its height
    vec4 lamp_light[MAX_LAMPS];      // irradiance at 1 m (spot) or anywhere (directional), radiance (softbox); diameter
    vec4 lamp_scale[MAX_LAMPS];      // metres across its picture at no distance, and for each metre; range; tallest gap
    mat4 clip_from_world[MAX_LAMPS];
    vec4 lamp_card;                  // irradiance of all on the middle of the stage; number of lamps
} lamps;
