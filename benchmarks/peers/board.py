"""Times PyTorch's work and writes rows: CUDA events, warm-up, medians, sets of inputs in turns where a cache would hold
them. What a row counts (bytes, FLOPs) is said by our row of the same name; here are milliseconds alone."""
import json
import statistics
import time
import traceback

import torch


class Board:
    def __init__(self, path, tiny):
        self.file = open(path, "a")
        self.tiny = tiny
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def size(self, n, tiny):
        return tiny if self.tiny else n

    def normal(self, *shape, dtype=torch.bfloat16, deviation=1.0):
        x = torch.empty(shape, dtype=dtype, device=self.device)
        return x.normal_(0, deviation)

    def write(self, row, side="pytorch", **fields):
        self.file.write(json.dumps({"row": row, "side": side, **fields}) + "\n")
        self.file.flush()
        print(f"{row:64s} {fields}", flush=True)

    def row(self, name, make, cached_bytes=None, **fields):
        """`make()` makes inputs and returns a function that runs once. It is called several times where `cached_bytes`,
        what one run touches, would stay in the second-level cache."""
        try:
            sets = 1
            if cached_bytes and self.device.type == "cuda":
                cache = torch.cuda.get_device_properties(0).L2_cache_size
                sets = max(1, min(32, -(-4 * cache // cached_bytes)))
            runs = [make() for _ in range(sets)]
            self.write(name, milliseconds=1e3 * self.time(runs), **fields)
        except Exception as error:  # another row may do better
            traceback.print_exc()
            self.write(name, failed=str(error).splitlines()[0][:200] if str(error) else type(error).__name__)
        finally:
            runs = None
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def time(self, runs, budget=0.3):
        """Seconds of one run: the median over rounds of several runs each."""
        clock = self.clock()
        turn = 0

        def round_of(n):
            nonlocal turn
            start = clock()
            for _ in range(n):
                runs[turn % len(runs)]()
                turn += 1
            return clock(start) / n

        for run in runs:  # compiles
            run()
        round_of(1)
        once = round_of(2)
        n = min(max(int(4e-3 / once), 1), 200)
        rounds = min(max(int(budget / (n * once)), 5), 40)
        if once < budget / 10:
            round_of(n)
        return statistics.median(round_of(n) for _ in range(rounds))

    def clock(self):
        """clock() starts; clock(start) gives the seconds since."""
        if self.device.type != "cuda":
            return lambda start=None: time.perf_counter() - (start or 0)

        def events(start=None):
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            if start is None:
                return event
            event.synchronize()
            return start.elapsed_time(event) * 1e-3

        return events
