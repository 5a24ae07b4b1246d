"""Recomputes from the source what rounding to nearest must store for a weight: scales, zero points, codes.

Python's floats are doubles: a sum, product or quotient of two fp32 numbers in them, rounded once more to fp32, is the
correctly rounded fp32 result. So every number here is exact, and the stored values must be equal bit for bit.
"""
import bisect
import math
import struct

from decode_model import E2M1, E4M3, E5M2, FP4, FP8, NF4, fp32
from read_safetensors import Bad

SMALLEST_SCALE = 2.0**-120


def encode(value, exponent_bits, mantissa_bits):
    """The bits of a non-negative value, rounded to the nearest float of that type (ties to even)."""
    smallest = 2 - (1 << (exponent_bits - 1))
    exponent = max(math.frexp(value)[1] - 1, smallest) if value else smallest
    bits = ((exponent - smallest) << mantissa_bits) + round(math.ldexp(value, mantissa_bits - exponent))
    if bits >> mantissa_bits >= (1 << exponent_bits) - 1:
        raise Bad(f"no scale of {value}")
    return bits


KINDS = {"F16": (5, 10, 2), "BF16": (8, 7, 2), "F32": (8, 23, 4)}


def stored(values, dtype):
    """The bytes of scales rounded to their type."""
    exponent_bits, mantissa_bits, size = KINDS[dtype]
    return b"".join(encode(v, exponent_bits, mantissa_bits).to_bytes(size, "little") for v in values)


def nearest_even(table):
    """Thresholds between the ascending magnitudes of a table: the code is the number of thresholds below |x|."""
    out = []
    for code in range(len(table) - 1):
        middle = (table[code] + table[code + 1]) / 2
        out.append(middle if code % 2 == 0 else math.nextafter(middle, 0.0))
    return out


E4M3_STEPS = nearest_even(E4M3[:127])
E2M1_STEPS = nearest_even(E2M1[:8])
PLAIN_FP8_STEPS = {"F8_E4M3": E4M3_STEPS, "F8_E5M2": nearest_even(E5M2[:124])}
NF4_STEPS = fp32((NF4[i] + NF4[i + 1]) / 2 for i in range(15))
FP4_STEPS = fp32([0.00260417, 0.0859375, 0.20833333, 0.29166667, 0.4166667, 0.583333, 0.8333333])
FP4_CODES = sorted(range(8), key=lambda code: FP4[code])


def blocks(x, length):
    return [x[at : at + length] for at in range(0, len(x), length)]


def products(parts, factors):
    return fp32(v * f for part, f in zip(parts, factors) for v in part)


def kept(parts, scales):
    """The blocks; those without a scale become zeros of positive sign."""
    return [part if scale else [0.0] * len(part) for part, scale in zip(parts, scales)]


def magnitude_code(y, steps, sign):
    code = bisect.bisect_left(steps, abs(y))
    return code | sign if math.copysign(1.0, y) < 0 else code


def scale_type(x, weight, divisor, dtype):
    """fp32 where fp16 would hold a scale with less precision than bfloat16, as zero or not at all, else that of the
    source. divisor: of the smallest scale that a group of this largest magnitude may have."""
    tops = [max(map(abs, part)) for part in blocks(x, weight.block)]
    small = min((top for top in tops if top), default=1.0)
    wide = dtype == "F16" and (small / divisor < 2.0**-17 or max(tops) / divisor >= 65520)
    if wide != (weight.scale_dtype == "F32" and dtype != "F32"):
        found = weight.scale_dtype or dtype
        raise Bad(f"{weight.scale_tensor}: is {found}, for magnitudes from {small} to {max(tops)}")
    return "F32" if wide else dtype


class Expected:
    def __init__(self):
        self.scale_bytes = self.zeros = self.codes = None


def integers(x, weight, dtype, bits, offset, symmetric, narrow):
    out = Expected()
    parts = blocks(x, weight.block)
    half, low, high = (2**bits - 1) / 2, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if narrow:
        half, low = high, -high
    dtype = scale_type(x, weight, half if symmetric else 2 * half, dtype)
    if symmetric:
        wanted = fp32(max(map(abs, part)) / half for part in parts)
    else:
        lows, highs = [min(0.0, min(part)) for part in parts], [max(0.0, max(part)) for part in parts]
        wanted = fp32(h / half for h in fp32(b / 2 - a / 2 for a, b in zip(lows, highs)))
    out.scale_bytes, scales = rounded(wanted, dtype)
    zeros = [0] * len(parts)
    if not symmetric:
        quotients = fp32(-a / s if s else 0.0 for a, s in zip(lows, scales))
        # The signed zero point is the unsigned one minus half the range.
        zeros = [(min(max(round(q), 0), 2**bits - 1) if s else -low) + low for q, s in zip(quotients, scales)]
        out.zeros = bytes(z + offset & 255 for z in zeros)
    y = products(parts, inverses(scales))
    codes = []
    for index, zero in enumerate(zeros):
        part = y[index * weight.block : (index + 1) * weight.block]
        codes += [min(max(round(v) + zero, low), high) + offset & 255 for v in part]
    out.codes = bytes(codes)
    return out


def absmax_integers(x, weight):
    """LLM.int8: the largest magnitude of a row is stored unchanged; the codes use 1/127 of it as scale."""
    out = Expected()
    parts = blocks(x, weight.block)
    tops = [max(map(abs, part)) for part in parts]
    out.scale_bytes = stored(tops, "F32")
    _, scales = rounded(fp32(top / 127 for top in tops), "F32")
    out.codes = bytes(min(max(round(v), -127), 127) & 255 for v in products(parts, inverses(scales)))
    return out


def rounded(wanted, dtype):
    """Scales as stored, and their values; those below the smallest are 0."""
    exponent_bits, mantissa_bits, size = KINDS[dtype]
    data = stored(wanted, dtype)
    values = []
    for at in range(0, len(data), size):
        bits = int.from_bytes(data[at : at + size], "little")
        mantissa, exponent = bits & ((1 << mantissa_bits) - 1), bits >> mantissa_bits
        mantissa |= (1 << mantissa_bits) if exponent else 0
        values.append(math.ldexp(mantissa, max(exponent, 1) + 1 - (1 << (exponent_bits - 1)) - mantissa_bits))
    if any(v < SMALLEST_SCALE for v in values):
        values = [v if v >= SMALLEST_SCALE else 0.0 for v in values]
        data = stored(values, dtype)
    return data, values


def inverses(scales):
    return fp32(1.0 / s if s else 0.0 for s in scales)


def fp8(x, weight, dtype):
    out = Expected()
    parts = blocks(x, weight.block)
    dtype = scale_type(x, weight, 448, dtype)
    out.scale_bytes, scales = rounded(fp32(max(map(abs, part)) / 448 for part in parts), dtype)
    y = products(kept(parts, scales), inverses(scales))
    out.codes = bytes(magnitude_code(v, E4M3_STEPS, 0x80) for v in y)
    return out


def mxfp4(x, weight):
    """The EVEN rule: the largest magnitude, rounded to one bit of mantissa, is in [4, 8) times the scale."""
    out = Expected()
    parts = blocks(x, weight.block)
    tops = [max(map(abs, part)) for part in parts]
    exponents = []
    for top in tops:
        exponent = -127
        if top:
            mantissa, power = math.frexp(top)
            power += round(mantissa * 4) == 4
            exponent = max(power - 1 - 2, -127)
        exponents.append(exponent)
    out.scale_bytes = bytes(e + 127 for e in exponents)
    y = (math.ldexp(v, -e) for part, e in zip(kept(parts, tops), exponents) for v in part)
    out.codes = bytes(magnitude_code(v, E2M1_STEPS, 8) for v in y)
    return out


def bits_and_bytes(x, weight):
    out = Expected()
    parts = blocks(x, weight.block)
    tops = [max(map(abs, part)) for part in parts]
    y = products(parts, fp32(1.0 / top if top else 0.0 for top in tops))
    if weight.scheme.startswith("nf4"):
        out.codes = bytes(bisect.bisect_left(NF4_STEPS, v) for v in y)
    else:
        out.codes = bytes(FP4_CODES[bisect.bisect_left(FP4_STEPS, abs(v))] | (8 if v < 0 else 0) for v in y)
    if "nested" not in weight.scheme:
        out.scale_bytes = stored(tops, "F32")
    return out, tops


def nested(tops, weight):
    """The quantization of the block scales: the differences as [(tensor, place, found, expected)]."""
    out = []
    mean = math.fsum(tops) / len(tops)
    if abs(weight.nested_offset - mean) > 2e-7 * mean:  # the offset may be off by one unit of the largest scale
        out.append((weight.name + ".quant_state", "nested_offset", weight.nested_offset, mean))
    deviations = fp32(top - weight.nested_offset for top in tops)
    table = weight.nested_map
    steps = fp32((table[i] + table[i + 1]) / 2 for i in range(255))
    for group, part in enumerate(blocks(deviations, 256)):
        top = max(map(abs, part))
        found = weight.nested_absmax[group]
        if found != top:
            out.append((weight.name + ".nested_absmax", f"entry {group}", found, top))
        (inverse,) = inverses([top])
        for index, value in enumerate(fp32(v * inverse for v in part)):
            code, expected = weight.scale_bytes[group * 256 + index], bisect.bisect_left(steps, value)
            if code != expected:
                out.append((weight.scale_tensor, f"block {group * 256 + index}", code, expected))
    return out


def plain(x, dtype):
    """The bytes of values rounded to a float type; FP8 saturates."""
    if dtype in FP8:
        sign = len(FP8[dtype]) // 2
        return bytes(magnitude_code(v, PLAIN_FP8_STEPS[dtype], sign) for v in x)
    if dtype == "F32":
        return b"".join(struct.pack("<f", v) for v in x)
    exponent_bits, mantissa_bits, size = KINDS[dtype]
    sign = 1 << (exponent_bits + mantissa_bits)
    codes = (encode(abs(v), exponent_bits, mantissa_bits) | (sign if math.copysign(1.0, v) < 0 else 0) for v in x)
    return b"".join(code.to_bytes(size, "little") for code in codes)


def without_denormals(x, dtype):
    """The values as nibble reads them: denormals of fp32 and bfloat16 count as 0."""
    return x if dtype == "F16" else [v if abs(v) >= 2.0**-126 else math.copysign(0.0, v) for v in x]


def differences(weight, x, dtype, narrow=False):
    """The differences of a quantized weight from its source x of that dtype: [(tensor, place, found, expected)]."""
    if dtype in FP8:
        dtype = "F16"  # F16 represents all their values: the types of scales are those for F16
    x = without_denormals(x, dtype)
    out = []
    if weight.scheme == "int8 absmax":
        expected = absmax_integers(x, weight)
    elif weight.scheme.startswith("int"):
        bits = int(weight.scheme[3])
        expected = integers(x, weight, dtype, bits, weight.offset, " sym" in weight.scheme, narrow)
    elif weight.scheme.startswith("fp8"):
        expected = fp8(x, weight, dtype)
    elif weight.scheme.startswith("mxfp4"):
        expected = mxfp4(x, weight)
    else:
        expected, tops = bits_and_bytes(x, weight)
        if expected.scale_bytes is None:
            out += nested(tops, weight)
    if expected.scale_bytes is not None and expected.scale_bytes != weight.scale_bytes:
        size = len(weight.scale_bytes) // len(weight.scales)
        pairs = zip(blocks(weight.scale_bytes, size), blocks(expected.scale_bytes, size))
        for index, (found, wanted) in enumerate(pairs):
            if found != wanted:
                place = weight.place(index * weight.block)
                found, wanted = (f"scale 0x{data[::-1].hex()}" for data in (found, wanted))
                out.append((weight.scale_tensor, place, found, wanted))
    if (expected.zeros is None) != (weight.zeros is None):
        raise Bad(f"{weight.name}: zero points")
    if expected.zeros is not None:
        for index, (found, wanted) in enumerate(zip(weight.zeros, expected.zeros)):
            if found != wanted:
                out.append((weight.zero_tensor, weight.place(index * weight.block), f"zero {found}", f"zero {wanted}"))
    if expected.codes != weight.codes:
        for index, (found, wanted) in enumerate(zip(weight.codes, expected.codes)):
            if found != wanted:
                out.append((weight.code_tensor, weight.place(index), f"code {found}", f"code {wanted}"))
    return out
