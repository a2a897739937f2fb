in float v_along;

void main() { gl_FragDepth = clamp(v_along, 0.0, 1.0); }
