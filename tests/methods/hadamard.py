"""Hadamard matrices by Sylvester's and Paley's constructions."""
import numpy as np


def is_prime(n):
    return n > 1 and all(n % d for d in range(2, int(n ** 0.5) + 1))


def characters(q):
    """chi(i - j) modulo the prime q."""
    squares = {i * i % q for i in range(1, q)}
    chi = np.array([0] + [1 if i in squares else -1 for i in range(1, q)])
    return chi[(np.arange(q)[:, None] - np.arange(q)) % q]


def paley(n):
    """A matrix of order n, or None where neither construction has a prime."""
    if is_prime(n - 1) and (n - 1) % 4 == 3:
        s = np.zeros((n, n), int)
        s[0, 1:], s[1:, 0], s[1:, 1:] = 1, -1, characters(n - 1)
        return s + np.eye(n, dtype=int)
    half = n // 2
    if n % 2 == 0 and is_prime(half - 1) and (half - 1) % 4 == 1:
        c = np.zeros((half, half), int)
        c[0, 1:], c[1:, 0], c[1:, 1:] = 1, 1, characters(half - 1)
        return np.kron(c, [[1, 1], [1, -1]]) + np.kron(np.eye(half, dtype=int), [[1, -1], [-1, -1]])
    return None


def hadamard(n):
    """A matrix with entries 1 and -1 and orthogonal rows: the smallest of Paley's orders times a power of two."""
    rest, power = n, 0
    while rest % 2 == 0:
        rest, power = rest // 2, power + 1
    for used in range(power + 1):
        order = rest << used
        base = np.ones((1, 1), int) if order == 1 else np.array([[1, 1], [1, -1]]) if order == 2 else paley(order)
        if base is not None:
            matrix = base
            for _ in range(power - used):
                matrix = np.kron(matrix, [[1, 1], [1, -1]])
            wide = matrix.astype(np.float64)        # whole sums are exact, and the product is fast
            assert (wide @ wide.T == n * np.eye(n)).all()
            return matrix
    raise SystemExit(f"no Hadamard matrix of order {n} by Sylvester and Paley")


def orthogonal(n):
    return hadamard(n) / n ** 0.5
