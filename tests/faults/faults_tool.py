#!/usr/bin/env python3
"""Every Vulkan call fails once and for ever while the tool works; then --resume must give the bytes of an undisturbed
run, or the tool must have said in one line what failed.

  faults_tool.py NIBBLE LAYERS WORK [--long] [--verb quantize,calibrate,selftest,bench,gptq] [--jobs N]

LAYERS holds the layer's manifest in vulkan/implicit_layer.d. Each verb first runs undisturbed and counts the uses of
each call. The quick list then fails the first, middle and last use with a memory error and, where it may, a lost
device: of every call in quantize, and in the other verbs of the calls that have not failed yet and of the queue's. The
long list fails every use with every error, in each way of plan.h, for selftest and bench at most MOST_USES of them;
GPTQ of the sample model has the quick rules there, as it takes seconds.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LOST = -4
OUT_OF_HOST_MEMORY = -1
OUT_OF_DEVICE_MEMORY = -2
TIMEOUT_S = 120
MOST_USES = 5
SAMPLE = HERE.parent / "data" / "tiny-kjv-llama"
QUEUE = {"vkQueueSubmit", "vkWaitForFences", "vkResetFences"}
# After a failure of these the work may still succeed: with another memory type or device, or because nothing is lost.
MAY_SUCCEED = {"vkEnumerateInstanceVersion", "vkEnumerateInstanceExtensionProperties", "vkCreateInstance",
               "vkEnumeratePhysicalDevices", "vkEnumerateDeviceExtensionProperties", "vkCreateDevice",
               "vkAllocateMemory", "vkMapMemory", "vkBindBufferMemory", "vkCreateBuffer", "vkCreateFence",
               "vkCreateCommandPool", "vkAllocateCommandBuffers"}


def read_calls():
    """{call: codes}, in the order of the counters."""
    text = (HERE / "calls.inc").read_text()
    return {name: [int(code) for code in codes.split(",")]
            for name, codes in re.findall(r"^NIB_FAULT_CALL\((\w+), ([-\d, ]+)\)", text, re.MULTILINE)}


CALLS = read_calls()


def write_model(path):
    """A .safetensors file of a few small linear layers, a norm and an odd tensor."""
    generator = random.Random(7)
    tensors = {"model.norm.weight": [64]}
    for layer in range(2):
        # One shape for all, so that few pipelines are built: that takes most of a run's time.
        for name in ("self_attn.q_proj", "mlp.down_proj"):
            tensors[f"model.layers.{layer}.{name}.weight"] = [64, 64]
    header, data = {}, b""
    for name, shape in tensors.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        values = struct.pack(f"<{count}f", *(generator.gauss(0, 1) for _ in range(count)))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_npy(path, rows, columns):
    generator = random.Random(8)
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    count = rows * columns
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() +
                     struct.pack(f"<{count}f", *(generator.gauss(0, 1) for _ in range(count))))


class Result:
    def __init__(self, code, stdout, stderr, uses):
        self.code, self.stdout, self.stderr, self.uses = code, stdout, stderr, uses

    def error_line(self):
        lines = self.stderr.strip().splitlines()
        return lines[-1] if lines else ""


class Tool:
    def __init__(self, program, layers):
        self.program, self.layers = program, layers

    def run(self, arguments, folder, rules="", discrete=False, layer=True):
        """Runs the tool under the layer; a timeout is the code None."""
        environment = dict(os.environ)
        state = folder / "state"
        if layer:
            state.write_bytes(b"\0" * 4096)
            environment.update(XDG_DATA_HOME=str(self.layers), NIBBLE_FAULTS="1", NIBBLE_FAULTS_STATE=str(state))
            if rules:
                environment["NIBBLE_FAULTS_FAIL"] = rules
            if discrete:
                environment["NIBBLE_FAULTS_DISCRETE"] = "1"
        try:
            done = subprocess.run([self.program, *arguments], env=environment, capture_output=True, timeout=TIMEOUT_S,
                                  stdin=subprocess.DEVNULL)
            code, out, err = done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        except subprocess.TimeoutExpired as expired:
            code, out, err = None, "", (expired.stderr or b"").decode(errors="replace")
        uses = dict(zip(CALLS, struct.unpack(f"<{len(CALLS)}Q", state.read_bytes()[:8 * len(CALLS)]))) if layer else {}
        return Result(code, out, err, uses)


def unlisted_calls():
    """Calls that the kit or the core loads, that can fail, and that are not in calls.inc."""
    source = HERE.parent.parent / "src"
    names = re.findall(r"^NIB_VK_\w+\((vk\w+)\)", (source / "vk" / "api.inc").read_text(), re.MULTILINE)
    names += ["vk" + name for name in re.findall(r"^  X\((\w+)\)", (source / "kit" / "vulkan_api.h").read_text(),
                                                 re.MULTILINE)]
    # The list of cooperative matrix shapes can fail too, but few drivers have it. Object names are for an app's
    # debugger: the tool does not turn them on, and the core goes on without them.
    never_fails = re.compile(
        r"vk(Destroy|Cmd|Free|Update|GetPhysicalDevice|GetDevice|GetBuffer|SetDebugUtilsObjectName)")
    return sorted(name for name in set(names) - set(CALLS) - {"vkResetDescriptorPool"} if not never_fails.match(name))


class Verb:
    """A command, its result, and the conditions that must hold after it has failed."""
    quick = "queue"     # the calls of the quick list: "all", "queue" (and those that have not failed yet), or of the
                        # queue's the "first" use alone
    few_uses = False    # the quick rules also in the long list
    most_uses = None    # of a call in the long list; None = all
    error_line = True   # a failure is reported in the last line of stderr

    def same(self, expected, output):
        return output == expected

    def more_rules(self, baseline):
        return ()

    def after_failure(self, tool, folder, expected, number):
        return ""


class Quantize(Verb):
    """The bytes of the output, also after --resume."""
    name = "quantize"
    quick = "all"

    def __init__(self, work):
        self.model = work / "model.safetensors"
        self.options = ["--group-size", "32"]
        write_model(self.model)

    def arguments(self, folder, device, *more):
        return ["quantize", str(self.model), "-o", str(folder / "out"), "--device", device, *self.options, *more]

    def command(self, folder):
        return self.arguments(folder, "0")

    def output(self, folder, result):
        return (folder / "out" / "model.safetensors").read_bytes()

    def resume_device(self, number):
        # The CPU gives the same bytes and needs no driver, which saves time; every seventh run goes on on the device.
        return "0" if number % 7 == 0 else "cpu"

    def after_failure(self, tool, folder, expected, number):
        resumed = tool.run(self.arguments(folder, self.resume_device(number), "--resume"), folder, layer=False)
        if resumed.code != 0:
            return f"--resume ended with {resumed.code}: {resumed.error_line()}"
        return "" if self.output(folder, resumed) == expected else "--resume gave other bytes"


class Gptq(Quantize):
    """GPTQ, whose finished layers --resume keeps; its bytes are those of one device."""
    name = "gptq"
    few_uses = True

    def __init__(self, work):
        self.model = SAMPLE
        self.options = ["--method", "gptq", "--calib", str(SAMPLE / "calib_ids.npy"), "--samples", "1",
                        "--seq-len", "32"]

    def resume_device(self, number):
        return "0"


class Calibrate(Verb):
    """The calibration whole, or none of it."""
    name = "calibrate"

    def __init__(self, work):
        self.data = work / "activations.npy"
        write_npy(self.data, 300, 64)

    def command(self, folder):
        return ["calibrate", "--data", str(self.data), "-o", str(folder / "calib.json"), "--range", "percentile:99.9",
                "--device", "0"]

    def output(self, folder, result):
        return (folder / "calib.json").read_bytes()

    def after_failure(self, tool, folder, expected, number):
        left = sorted(path.name for path in folder.iterdir() if path.name != "state")
        return f"the failed run left {left}" if left else ""


class Selftest(Verb):
    """The same cells ran and passed, or the tool fails."""
    name = "selftest"
    most_uses = MOST_USES
    error_line = False  # the table names the failed cases

    def __init__(self, work):
        pass

    def command(self, folder):
        return ["selftest", "--device", "0", "--type", "int4", "--op", "repack", "--every", "1000", "--json"]

    def output(self, folder, result):
        return [(cell["op"], cell["path"], cell["ran"], cell["failed"]) for cell in json.loads(result.stdout)["cells"]]

    def same(self, expected, output):
        # Without a working driver everything may run on the CPU.
        return output == expected or {path for _, path, ran, _ in output if ran} == {"cpu"}


class Bench(Verb):
    """Verified rows, or the tool fails, and its file has the rows that were measured."""
    name = "bench"
    quick = "first"
    most_uses = MOST_USES

    def __init__(self, work):
        pass

    def command(self, folder):
        # Little data and time: the ceilings and two rows take two seconds.
        return ["bench", "--device", "0", "--type", "int8", "--op", "quantize", "--shape", "64x1x128",
                "--rotate", "64K", "--budget", "2s", f"--json={folder / 'bench.json'}"]

    def output(self, folder, result):
        file = json.loads((folder / "bench.json").read_text())
        rows = [(row["op"], row["source"], row["type"], row["verified"]) for row in file["rows"]]
        return rows, len(rows) + len(file["skipped"])

    def same(self, expected, output):
        # On a busy machine the budget may not reach the last rows.
        return expected[0][:len(output[0])] == output[0] and output[1] == expected[1]

    def more_rules(self, baseline):
        # The number of submissions depends on the time they take; at two thirds, rows are being measured.
        yield f"vkQueueSubmit {baseline.uses['vkQueueSubmit'] * 2 // 3} lost {LOST}"

    def after_failure(self, tool, folder, expected, number):
        left = {path.name for path in folder.iterdir()} - {"state"}
        if not left:
            return ""
        if left != {"bench.json"}:
            return f"the failed run left {sorted(left)}"
        result = json.loads((folder / "bench.json").read_text())
        if len(result["rows"]) + len(result["skipped"]) != expected[1]:
            return f"{len(result['rows'])} rows and {len(result['skipped'])} skipped ones of {expected[1]}"
        failures = "\n".join(result["failures"])
        if sum(not row["verified"] for row in result["rows"]) > len(result["failures"]):
            return "a row is not verified, and the failures do not say why"
        if "VK_ERROR_DEVICE_LOST" in failures and result["skipped"] and "interrupted" not in result:
            return "a lost device, and the file does not say that rows are lacking"
        return ""


def positions(uses):
    return sorted({1, (uses + 1) // 2, uses})


def quick_rules(call, codes, chosen, loses_first=False):
    """loses_first: the device is lost at the first use alone, which ends a long run soon."""
    memory = OUT_OF_DEVICE_MEMORY if OUT_OF_DEVICE_MEMORY in codes else OUT_OF_HOST_MEMORY
    for i, use in enumerate(chosen):
        yield f"{call} {use} {'ever' if i == 1 else 'once'} {memory}"
        if LOST in codes and (i == 0 or not loses_first):
            yield f"{call} {use} {'lost' if i == 1 else 'once'} {LOST}"


def spread(uses, most):
    """At most `most` uses, the first and the last among them."""
    if most is None or uses <= most:
        return range(1, uses + 1)
    return sorted({1 + i * (uses - 1) // (most - 1) for i in range(most)})


def long_rules(call, codes, uses, most=None):
    for use in spread(uses, most):
        for code in codes:
            for times in ("once", "ever") + (("lost",) if code == LOST else ()):
                yield f"{call} {use} {times} {code}"


def idle_rules(causes, long):
    """The wait for an idle queue, which follows a failed wait or submission, fails too."""
    for cause in causes:
        for code in CALLS["vkQueueWaitIdle"]:
            for times in ("once", "ever"):
                if long or (times == "ever") == (code == OUT_OF_DEVICE_MEMORY):
                    yield f"{cause};vkQueueWaitIdle 1 {times} {code}"


def rules_of(verb, baseline, long, done):
    """The faults of a verb; done: calls that earlier verbs have made to fail."""
    rules = []
    for call, codes in CALLS.items():
        uses = baseline.uses[call]
        if uses == 0:
            continue
        if long and not verb.few_uses:
            rules += long_rules(call, codes, uses, verb.most_uses)
        elif long or verb.quick == "all" or call not in done:
            rules += quick_rules(call, codes, positions(uses), loses_first=verb.quick == "first")
        elif call in QUEUE:
            rules += quick_rules(call, codes, [1] if verb.quick == "first" else positions(uses))
    if long or verb.quick == "all":
        causes = [f"{call} {use} once {OUT_OF_DEVICE_MEMORY}" for call in ("vkWaitForFences", "vkQueueSubmit")
                  for use in (positions(baseline.uses[call]) if long else [1])]
        rules += idle_rules(causes, long)
    return rules + list(verb.more_rules(baseline))


def check(tool, verb, rule, expected, number, discrete, work):
    """Returns (fired, problem or '')."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=work))
    try:
        result = tool.run(verb.command(folder), folder, rule, discrete)
        call, use = rule.split()[0], int(rule.split()[1])
        fired = result.uses.get(call, 0) >= use
        if result.code is None:
            return fired, f"no end within {TIMEOUT_S} s"
        if result.code == 0:
            if fired and call not in MAY_SUCCEED:
                return fired, "exit 0 although the call failed"
            same = verb.same(expected, verb.output(folder, result))
            return fired, "" if same else "exit 0 with another output"
        if result.code not in (1, 2):
            return fired, f"ended with {result.code}: {result.stderr.strip()[-400:]}"
        if verb.error_line and not re.match(r"nibble( \w+)?: .", result.error_line()):
            return fired, f"exit {result.code} without an error line: {result.stderr.strip()[-400:]!r}"
        # The loader answers -9 where no driver takes the request, which is having none.
        if verb.error_line and call == "vkCreateInstance" and not rule.endswith(" -9") and \
                "VK_ERROR_" not in result.error_line() and not ("try again" in result.error_line() and
                                                                " once " in rule):
            return fired, f"the error line does not say why there is no device: {result.error_line()!r}"
        return fired, verb.after_failure(tool, folder, expected, number)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_verb(tool, verb, long, jobs, discrete, work, done):
    """Returns the calls that failed and the list of problems."""
    title = verb.name + (" as on a card" if discrete else "")
    folder = pathlib.Path(tempfile.mkdtemp(dir=work))
    baseline = tool.run(verb.command(folder), folder, discrete=discrete)
    if baseline.code != 0:
        return set(), [f"{title}: the undisturbed run ended with {baseline.code}: {baseline.stderr.strip()[-400:]}"]
    expected = verb.output(folder, baseline)
    rules = rules_of(verb, baseline, long, done)
    problems, fired_calls, unfired = [], set(), 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        runs = [pool.submit(check, tool, verb, rule, expected, i, discrete, work) for i, rule in enumerate(rules)]
        for rule, run in zip(rules, runs):
            fired, problem = run.result()
            if fired:
                fired_calls.update(part.split()[0] for part in rule.split(";"))
            unfired += not fired
            if problem:
                problems.append(f"{title}: {rule}: {problem}")
                print(problems[-1], flush=True)
    print(f"{title}: {len(rules)} faults, {unfired} of them not reached, {len(problems)} problems", flush=True)
    return fired_calls, problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nibble")
    parser.add_argument("layers", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--verb", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    arguments = parser.parse_args()
    shutil.rmtree(arguments.work, ignore_errors=True)
    arguments.work.mkdir(parents=True)
    tool = Tool(arguments.nibble, arguments.layers)
    makers = {maker.name: maker for maker in (Quantize, Calibrate, Selftest, Bench, Gptq)}
    names = [name for name in makers if arguments.long or name != Gptq.name]
    if arguments.verb:
        names = arguments.verb.split(",")
    fired, problems = set(), []
    for name in names:
        verb = makers[name](arguments.work)
        # A card's memory is not mapped, so that transfers are submissions too.
        for discrete in ([False, True] if arguments.long and not verb.few_uses else [name == "quantize"]):
            more_fired, more_problems = run_verb(tool, verb, arguments.long, arguments.jobs, discrete, arguments.work,
                                                 fired)
            fired |= more_fired
            problems += more_problems
    if not arguments.verb:
        problems += [f"{call} never failed" for call in CALLS if call not in fired]
        problems += [f"{call} is not in calls.inc" for call in unlisted_calls()]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
