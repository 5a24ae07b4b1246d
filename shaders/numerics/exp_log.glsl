// exp and log of fp32 numbers, from additions, multiplications and one division. The error bounds of devices' own
// functions grow with the argument, and some devices exceed even those.
#ifndef NIB_NUMERICS_EXP_LOG_GLSL
#define NIB_NUMERICS_EXP_LOG_GLSL

// e^x within 2^-21 of itself for x from -87 to 88. Below, it is between 0 and e^-87; x above 88 counts as 88.
float nibExp(float x) {
  float c = clamp(x, -88.0, 88.0);
  precise float n = floor(c * 1.44269504 + 0.5);
  // ln 2 in two parts: a product of n and the first is exact.
  precise float r = (c - n * 0.693145751953125) - n * 1.42860682e-6;
  float p = 1.98412698e-4;
  p = p * r + 1.38888889e-3;
  p = p * r + 8.33333333e-3;
  p = p * r + 4.16666667e-2;
  p = p * r + 1.66666667e-1;
  p = p * r + 0.5;
  p = (p * r) * r + r;
  float power = uintBitsToFloat(uint(max(int(n) + 127, 1)) << 23);
  return x < -87.3 ? 0.0 : (p + 1.0) * power;
}

// ln x within 2^-20 of itself for normal x above 0.
float nibLog(float x) {
  uint bits = floatBitsToUint(x);
  // x = m * 2^e with m from sqrt(1/2) to sqrt(2).
  int e = int(bits - 0x3f3504f3u) >> 23;
  float m = uintBitsToFloat(bits - uint(e << 23));
  precise float f = m - 1.0;
  float s = f / (2.0 + f);
  float z = s * s;
  float p = z * (0.66666667 + z * (0.4 + z * (0.28571429 + z * 0.22222222)));
  float near = s * p + 2.0 * s;
  return float(e) * 0.693145751953125 + (float(e) * 1.42860682e-6 + near);
}

#endif
