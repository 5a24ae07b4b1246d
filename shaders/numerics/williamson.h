// The Hadamard matrix of order 172 = 4 * 43 after Williamson (Duke Math. J. 11, 1944): four symmetric circulant
// matrices of order p = 43 with entries 1 and -1 whose squares add up to 172 times the identity. Their rows are
// constant on the cosets of {1, -1, 6, -6, 6^2, -6^2}: entry 3^t modulo p is bit t % 7 of a mask, 1 = plus, and entry 0
// is plus. So there are 2^7 rows, of which a search of a second finds seven sets of four. Read by GLSL and C++.
#ifndef NIB_NUMERICS_WILLIAMSON_H
#define NIB_NUMERICS_WILLIAMSON_H

#define NIB_WILLIAMSON_PRIME 43u
#define NIB_WILLIAMSON_ROOT 3u
#define NIB_WILLIAMSON_COSETS 7u
#define NIB_WILLIAMSON_MASKS 15u, 38u, 58u, 108u
// The blocks of row r of [[A, B, C, D], [-B, A, -D, C], [-C, D, A, -B], [-D, -C, B, A]]: block s is matrix r ^ s, with
// the sign of bit 4 * r + s, 1 = minus.
#define NIB_WILLIAMSON_SIGNS 0x3950u

#endif
