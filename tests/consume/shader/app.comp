// An application's shader that includes the installed headers of a format.
#version 450
#extension GL_GOOGLE_include_directive : require
layout(local_size_x = 64) in;
layout(set = 0, binding = 0, std430) buffer Data { uint data[]; };
#include "format.glsl"

void main() { data[gl_GlobalInvocationID.x] = nibDivBits(data[gl_GlobalInvocationID.x], 0x40400000u); }
