"""Histograms computed with integers only: ranges_test.cpp computes the same ones."""

SIDE = 1024  # bins on either side of zero
EXPONENT = 127  # the sides span [0, 2)
NAMES = ["bell", "relu", "outliers", "tail", "noise", "sparse", "hills", "steps", "positive", "narrow"]


def noise(seed):
    """The linear congruential generator of Numerical Recipes, upper bits."""
    state = seed
    while True:
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        yield state >> 16


def bell(height, rate):
    value = height << 16
    for k in range(SIDE):
        yield value >> 16
        value -= (value >> 16) * min(k * rate, 65536)


def side_counts(name, negative):
    """Counts by magnitude for the positive or the negative side."""
    random = noise(NAMES.index(name) * 2 + negative + 1)
    if name == "bell":
        return [c + next(random) % 5 for c in bell(4000000 - 70000 * negative, 3)][: 1000 - 40 * negative]
    if name == "relu":
        return [0] if negative else [c + (9000000 if k == 0 else next(random) % 3)
                                     for k, c in enumerate(bell(1500000, 2))][:900]
    if name == "outliers":
        counts = [c for c in bell(3000000, 900)]
        return [c if k < 100 else int(next(random) % 41 == 0) for k, c in enumerate(counts)]
    if name == "tail":
        return [2000000000 // ((k + 1) * (k + 2 + negative)) for k in range(980)]
    if name == "noise":
        return [next(random) % 1000 for _ in range(SIDE)]
    if name == "sparse":
        return [next(random) % 50 if next(random) % 7 == 0 else 0 for _ in range(700 + 300 * negative)]
    if name == "hills":
        return [next(random) % 9 + (max(0, 300 - abs(k - 400)) * 90 + max(0, 60 - abs(k - 900)) * 5)
                for k in range(SIDE)]
    if name == "steps":
        return [100000 // (k // 16 + 1) if k % 16 == 0 else 0 for k in range(SIDE)]
    if name == "positive":
        return [0] if negative else [0] * 200 + [next(random) % 100 + 1 for _ in range(600)]
    return [50000 // (k + 1) for k in range(160 - 20 * negative)]  # narrow


def trimmed(counts):
    length = len(counts)
    while length > 0 and counts[length - 1] == 0:
        length -= 1
    return counts[:length]


class Histogram:
    """positive, negative: counts by magnitude; smallest and largest value are a quarter into the outermost bins."""

    def __init__(self, name):
        self.name = name
        self.width = 2.0 ** (EXPONENT - 126) / SIDE
        self.positive = trimmed(side_counts(name, 0))
        self.negative = trimmed(side_counts(name, 1))
        self.max = (len(self.positive) - 0.75) * self.width
        if self.negative:
            self.min = -(len(self.negative) - 0.75) * self.width
        else:
            self.min = 200 * self.width if name == "positive" else 0.0

    def magnitudes(self):
        length = max(len(self.positive), len(self.negative))
        at = lambda side, k: side[k] if k < len(side) else 0
        return [at(self.positive, k) + at(self.negative, k) for k in range(length)]

    def both(self):
        length = max(len(self.positive), len(self.negative))
        pad = lambda side: side + [0] * (length - len(side))
        return pad(self.negative)[::-1] + pad(self.positive)
