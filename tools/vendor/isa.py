"""Machine code as Mesa's compilers print it: instructions, loops, and what works in them."""
import re


class Instruction:
    """`count` is 0 for waits, delays and nops, and how often a repeated instruction runs. `target` is a label."""

    __slots__ = ("op", "text", "count", "target")

    def __init__(self, op, text, count=1, target=None):
        self.op, self.text, self.count, self.target = op, text, count, target


class Code:
    """Instructions and their basic blocks: (first, last) and, for each, the blocks that may follow."""

    def __init__(self):
        self.instructions = []
        self.labels = {}
        self.blocks = []
        self.follow = []

    def add(self, *values):
        self.instructions.append(Instruction(*values))


def machine_code(text):
    """The last part of a text by nibble_vendor_plans that is machine code, "" if there is none."""
    parts = re.split(r"^==== (.*?) ====\n", text, flags=re.M)
    found = [body for name, body in zip(parts[1::2], parts[2::2])
             if re.search(r"assembly|ISA|^GEN|asm|disassembly", name, re.I) and not re.search(r"NIR|ACO IR|SPIR", name)]
    return found[-1] if found else ""


# ---------------------------------------------------------------------------------------------- readers
IDLE_AMD = ("s_delay_alu", "s_nop", "s_clause", "s_inst_prefetch", "s_set_inst_prefetch_distance")


def read_amd(body):
    code = Code()
    for line in body.split("\n"):
        label = re.match(r"^(BB\d+):", line)
        if label:
            code.labels[label.group(1)] = len(code.instructions)
            continue
        match = re.match(r"^\t(\S+)\s*(.*?)\s*;", line)
        if not match or match.group(1).startswith("."):
            continue
        op = match.group(1)
        target = re.search(r"\b(BB\d+)\b", match.group(2)) if "branch" in op else None
        idle = op in IDLE_AMD or op.startswith("s_wait")
        code.add(op, line.strip(), 0 if idle else 1, target.group(1) if target else None)
    return code


def read_nvidia(body):
    """Names every block's successors itself."""
    code, blocks, now = Code(), {}, None
    for line in body.split("\n"):
        match = re.match(r"^block(?:\.u)? (\d+)(?: L\d+)?", line)
        if match:
            now = int(match.group(1))
            blocks[now] = [len(code.instructions), len(code.instructions) - 1, []]
            continue
        match = re.match(r"^\} -> \[(.*?)\]", line)
        if match and now is not None:
            blocks[now][1] = len(code.instructions) - 1
            blocks[now][2] = [int(n) for n in match.group(1).split(",") if n.strip()]
            continue
        if line.startswith("}") or not line.startswith((" ", "@")):
            continue
        text = re.sub(r"^@!?u?p\w+\s+", "", line.split("//")[0].strip())
        match = re.match(r"^(?:[^=]*\S\s*=\s+)?(\S+)", text)
        if match:
            code.add(match.group(1), text, 0 if match.group(1) in ("nop", "bclear") else 1)
    place = {name: i for i, name in enumerate(sorted(blocks))}
    code.blocks = [tuple(blocks[name][:2]) for name in sorted(blocks)]
    code.follow = [{place[n] for n in blocks[name][2] if n in place} for name in sorted(blocks)]
    return code


def read_adreno(body):
    code = Code()
    for line in body.split("\n"):
        label = re.match(r"^(l\d+):", line)
        if label:
            code.labels[label.group(1)] = len(code.instructions)
            continue
        if not line or line[0] in ";@" or line.startswith(("Native", "\t;", " ;")):
            continue
        text = line.strip()
        repeat = re.search(r"\(rpt(\d+)\)", text)
        bare = re.sub(r"^(\((?:sy|ss|jp|ul|sat|rpt\d+|nop\d+|eq|ei|eo|eolm|eogm|last)\))+", "", text).strip()
        if not re.match(r"^[a-z]", bare):
            continue
        op = bare.split()[0]
        target = re.search(r"#(l\d+)", bare)
        count = 0 if op == "nop" else 1 + (int(repeat.group(1)) if repeat else 0)
        code.add(op, text, count, target.group(1) if target else None)
    return code


def read_intel(body):
    """Only the ends of loops say where they go."""
    code = Code()
    for line in body.split("\n"):
        label = re.match(r"^(L\d+):", line)
        if label:
            code.labels[label.group(1)] = len(code.instructions)
            continue
        match = re.match(r"^(?:\([^)]*\))?\s*(?:\([^)]*\)\s*)?([a-z][\w.]*)\s+\((\d+)\)", line)
        if not match:
            continue
        op = match.group(1)
        target = re.search(r"(L\d+)\s*$", line) if op.split(".")[0] == "while" else None
        idle = op == "nop" or op.startswith("sync.")
        code.add(op, line.strip(), 0 if idle else 1, target.group(1) if target else None)
    return code


READERS = {"amd": read_amd, "nv": read_nvidia, "adreno": read_adreno, "intel": read_intel}
ENDS = ("s_endpgm", "end")
JUMPS = ("s_branch", "jump")


def read(family, text):
    """The code of a pipeline; None where this family's text cannot be read."""
    body = machine_code(text) if family in READERS else ""
    if not body:
        return None
    code = READERS[family](body)
    if not code.blocks:
        find_blocks(code)
    return code


def find_blocks(code):
    all_of = code.instructions
    starts = {0} | {at for at in code.labels.values() if at < len(all_of)}
    starts |= {i + 1 for i, x in enumerate(all_of) if x.target is not None and i + 1 < len(all_of)}
    starts = sorted(starts)
    code.blocks = [(first, end - 1) for first, end in zip(starts, starts[1:] + [len(all_of)])]
    number = {first: k for k, (first, _) in enumerate(code.blocks)}
    for k, (first, last) in enumerate(code.blocks):
        follow = set()
        for x in all_of[first:last + 1]:
            if code.labels.get(x.target) in number:
                follow.add(number[code.labels[x.target]])
        falls = not any(x.op in ENDS + JUMPS for x in all_of[first:last + 1])
        if falls and k + 1 < len(code.blocks):
            follow.add(k + 1)
        code.follow.append(follow)


# ---------------------------------------------------------------------------------------------- loops
def reachable(follow):
    seen, left = set(), [0] if follow else []
    while left:
        k = left.pop()
        if k not in seen:
            seen.add(k)
            left.extend(follow[k])
    return seen


def dominators_of(follow, seen):
    before = [set() for _ in follow]
    for k in seen:
        for after in follow[k]:
            before[after].add(k)
    dominators = [set(seen) for _ in follow]
    if follow:
        dominators[0] = {0}
    changed = True
    while changed:
        changed = False
        for k in sorted(seen - {0}):
            found = set.intersection(*(dominators[p] for p in before[k])) | {k}
            changed = changed or found != dominators[k]
            dominators[k] = found
    return before, dominators


def loops(code, family):
    """Natural loops, as lists of instruction numbers."""
    if family == "intel":
        ends = {}
        for i, x in enumerate(code.instructions):
            if code.labels.get(x.target, i + 1) <= i:
                ends[code.labels[x.target]] = i
        return [list(range(first, last + 1)) for first, last in ends.items()]
    seen = reachable(code.follow)
    before, dominators = dominators_of(code.follow, seen)
    bodies = {}
    for tail in seen:
        for head in code.follow[tail]:
            if head not in dominators[tail]:
                continue
            body, left = {head}, [tail]
            while left:
                k = left.pop()
                if k not in body:
                    body.add(k)
                    left.extend(before[k])
            bodies.setdefault(head, set()).update(body)
    numbers = lambda body: [i for k in sorted(body) for i in range(code.blocks[k][0], code.blocks[k][1] + 1)]
    return [numbers(body) for body in bodies.values()]


# ---------------------------------------------------------------------------------------------- work
MATRIX = re.compile(r"v_wmma|v_swmmac|v_mfma|hmma|imma|dpas")
DOT = re.compile(r"v_dot4|idp4|dp4a|dp4acc")
FUSED = {
    "amd": re.compile(r"v_fma_f32|v_fmac_f32|v_fmamk_f32|v_fmaak_f32|v_fma_mix_f32|v_dual_fmac|"
                      r"v_dual_\w+ .*:: v_dual_fmac|v_pk_fma|v_dot2"),
    "nv": re.compile(r"ffma|hfma2"),
    "intel": re.compile(r"mad\b"),
}
# Multiply-adds of these round twice, so that they may be in bit-exact kernels.
UNFUSED = {"amd": re.compile(r"v_mad_f32|v_mac_f32|v_madak_f32|v_madmk_f32"), "adreno": re.compile(r"mad\.f")}


def is_fused(x, family):
    text = x.text if family == "amd" else x.op
    if family not in FUSED or not FUSED[family].match(text):
        return False
    return family != "intel" or ":f" in x.text.lower()


def is_multiply_add(x, family):
    return is_fused(x, family) or (family in UNFUSED and bool(UNFUSED[family].match(x.op)))


def work_of(code, numbers, family):
    work = {"instructions": 0, "matrix": 0, "dot": 0, "fma": 0, "fused": 0}
    for i in numbers:
        x = code.instructions[i]
        work["instructions"] += x.count
        if MATRIX.match(x.op):
            work["matrix"] += x.count
        elif DOT.match(x.op):
            work["dot"] += x.count
        elif is_multiply_add(x, family):
            # AMD's dual instructions do two things; the second is behind "::".
            work["fma"] += x.count * (1 + len(re.findall(r"::\s*v_dual_fmac", x.text)))
        work["fused"] += x.count if is_fused(x, family) else 0
    return work


def whole(code, family):
    return work_of(code, range(len(code.instructions)), family)


def hottest(code, family):
    """The work of the loop that works most: by matrix instructions, else dot products, else multiply-adds. A loop
    inside another counts if it does nine tenths of the other's work. None if no loop works."""
    found = [work_of(code, numbers, family) for numbers in loops(code, family)]
    for kind in ("matrix", "dot", "fma"):
        most = max((w[kind] for w in found), default=0)
        if most:
            return min((w for w in found if w[kind] >= 0.9 * most), key=lambda w: w["instructions"])
    return None
