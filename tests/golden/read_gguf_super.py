"""The values of ggml's blocks of 256 elements (Q2_K to Q6_K, IQ4_XS) and of IQ4_NL, by the description of the layouts.

Products of a scale, a number and a code fit fp32, so that a value is rounded once: where a minimum is subtracted.
"""
import array
import struct

TYPES = {10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176),
         14: ("Q6_K", 256, 210), 20: ("IQ4_NL", 32, 18), 23: ("IQ4_XS", 256, 136)}
IQ4 = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]


def half(data, at):
    return struct.unpack_from("<e", data, at)[0]


def two_bits(qs):
    """256 codes: in each half of 128, bits 2k and 2k + 1 of the bytes are codes 32k and on."""
    return [qs[32 * (i // 128) + i % 32] >> 2 * (i % 128 // 32) & 3 for i in range(256)]


def pairs(scales):
    """The eight scales and minima of 6 bits of Q4_K and Q5_K."""
    low = [(scales[j] & 63, scales[j + 4] & 63) for j in range(4)]
    high = [(scales[j + 8] & 15 | (scales[j] >> 6) << 4, scales[j + 8] >> 4 | (scales[j + 4] >> 6) << 4)
            for j in range(4)]
    return low + high


def nibbles(qs):
    """256 codes: in each 64, the low halves of 32 bytes and then the high halves."""
    return [qs[32 * (i // 64) + i % 32] >> 4 * (i % 64 // 32) & 15 for i in range(256)]


def q2_k(b):
    d, dmin, codes = half(b, 80), half(b, 82), two_bits(b[16:80])
    return [d * (b[i // 16] & 15) * q - dmin * (b[i // 16] >> 4) for i, q in enumerate(codes)]


def q3_k(b):
    d, low, packed = half(b, 108), two_bits(b[32:96]), b[96:108]
    scales = [(packed[j % 8] >> 4 * (j // 8) & 15) + ((packed[8 + j % 4] >> 2 * (j // 4) & 3) << 4) - 32
              for j in range(16)]
    return [d * scales[i // 16] * (q + 4 * (b[i % 32] >> i // 32 & 1) - 4) for i, q in enumerate(low)]


def q4_k(b):
    d, dmin, scales = half(b, 0), half(b, 2), pairs(b[4:16])
    return [d * scales[i // 32][0] * q - dmin * scales[i // 32][1] for i, q in enumerate(nibbles(b[16:144]))]


def q5_k(b):
    d, dmin, scales, high = half(b, 0), half(b, 2), pairs(b[4:16]), b[16:48]
    codes = [q + 16 * (high[i % 32] >> i // 32 & 1) for i, q in enumerate(nibbles(b[48:176]))]
    return [d * scales[i // 32][0] * q - dmin * scales[i // 32][1] for i, q in enumerate(codes)]


def q6_k(b):
    d, scales = half(b, 208), struct.unpack_from("<16b", b, 192)
    values = []
    for i in range(256):
        part, j = i // 128, i % 128
        low = b[64 * part + j % 64] >> 4 * (j // 64) & 15
        high = b[128 + 32 * part + j % 32] >> 2 * (j // 32) & 3
        values.append(d * scales[i // 16] * (low + 16 * high - 32))
    return values


def iq4_nl(b):
    return [half(b, 0) * IQ4[q] for q in [v & 15 for v in b[2:18]] + [v >> 4 for v in b[2:18]]]


def iq4_xs(b):
    d, (high,) = half(b, 0), struct.unpack_from("<H", b, 2)
    values = []
    for i in range(256):
        g, j = i // 32, i % 32
        scale = (b[4 + g // 2] >> 4 * (g % 2) & 15) + ((high >> 2 * g & 3) << 4) - 32
        values.append(d * scale * IQ4[b[8 + 16 * g + j % 16] >> 4 * (j // 16) & 15])
    return values


DECODERS = {"Q2_K": q2_k, "Q3_K": q3_k, "Q4_K": q4_k, "Q5_K": q5_k, "Q6_K": q6_k, "IQ4_NL": iq4_nl, "IQ4_XS": iq4_xs}


def block_values(kind, block):
    return array.array("f", DECODERS[kind](block)).tolist()
