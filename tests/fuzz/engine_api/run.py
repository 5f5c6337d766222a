"""Fuzzes the API of an engine in a bottle; this process is the first of namespaces of its own (tests/fuzz/api)."""

import argparse
import json
import multiprocessing
import os
import random
import sys
import time
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../support")]

import hooks  # noqa: E402
import schemathesis  # noqa: E402
import yaml  # noqa: E402
from bottle import Bottle  # noqa: E402
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from judge import Judge  # noqa: E402
from schemathesis import GenerationMode  # noqa: E402

DESCRIPTION = os.path.join(HERE, "../../../schema/engine-api.yaml")
# So long the head of an answer may take: the machine may have more to do.
PATIENCE = 60
# What may be more by how much at the end than after the first tenth. Memory that was used once is not given back at once.
SLACK = {"memory": 48 << 20, "threads": 32, "descriptors": 8, "mounts": 0, "processes": 0, "links": 0}
# The links that seeds have: the loopback interface, a bridge for each of two networks, and what joins one running container to each.
LINKS = 5
WORKERS = 2
# So many requests of one kind a worker makes one after another.
BURST = 12
# After so many requests seeds that have gone come back; and after so many what has grown is removed.
SHOWER, SEASON = 40, 400


def prepare():
    """What requests can be made: each operation in each mode. Dear, and done once."""
    with open(DESCRIPTION) as file:
        schema = schemathesis.openapi.from_dict(hooks.with_examples(yaml.safe_load(file)))
    strategies = []
    for operation in (result.ok() for result in schema.get_all_operations()):
        # That one leaves.
        if operation.path != "/gantry/stop":
            modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
            strategies.append((operation.label, [operation.as_strategy(generation_mode=mode) for mode in modes]))
    return strategies


def fuzz(judge, strategies, number, share, counter):
    """One worker: asks for one thing after the other until it has made its share of the requests."""
    chance = random.Random(number)
    hooks.chance.seed(number)
    made = 0

    def ask(case):
        nonlocal made
        if made >= share:
            return
        made += 1
        answered = judge.ask(case)
        with counter.get_lock():
            counter.value += 1
        if answered and case.operation.path.endswith("/exec") and answered[0] == 201:
            hooks.commands[:] = [*hooks.commands[-4:], json.loads(answered[1])["Id"]]

    options = settings(max_examples=BURST, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    while made < share:
        label, (positive, negative) = chance.choice(strategies)
        strategy = chance.choice([positive, positive, negative])
        try:
            seed(chance.getrandbits(32))(options(given(case=strategy)(ask)))()
        except Exception as error:  # noqa: BLE001
            # Of some operations there is nothing that would be wrong.
            if type(error).__name__ not in ("Unsatisfiable", "Skipped", "SkipTest"):
                judge.find(label, f"no request can be made: {type(error).__name__}: {error}", b"", b"")


def work(socket, strategies, number, share, counter, results):
    judge = Judge(socket, PATIENCE)
    try:
        fuzz(judge, strategies, number, share, counter)
    finally:
        results.put((judge.findings, judge.statuses, judge.slowest))


def season(bottle, strategies, requests, number):
    """So many requests from several workers; removes meanwhile what they make."""
    counter, results = multiprocessing.Value("L", 0), multiprocessing.Queue()
    workers = []
    for each in range(WORKERS):
        workers.append(multiprocessing.Process(target=work, args=(bottle.socket, strategies, number + each, requests // WORKERS, counter, results)))
    for worker in workers:
        worker.start()
    collected, sown, cleaned = [], 0, 0
    seen, since = 0, time.monotonic()
    while len(collected) < WORKERS:
        try:
            collected.append(results.get(timeout=0.5))
        except multiprocessing.queues.Empty:
            # An engine on which nothing runs and nobody calls leaves, which is no finding.
            bottle.ask("GET", "/_ping")
            if counter.value != seen:
                seen, since = counter.value, time.monotonic()
            elif time.monotonic() > since + 4 * PATIENCE:
                raise RuntimeError("the workers make no requests, and do not end") from None
            if counter.value - cleaned >= SEASON:
                cleaned = counter.value
                bottle.weed()
            if counter.value - sown >= SHOWER:
                sown = counter.value
                bottle.sow()
    for worker in workers:
        worker.join()
    return collected


def settled(bottle, bound):
    """What the engine takes up as soon as that is within a bound, since some of it is released with a delay; or what it still takes up when its
    patience is over."""
    until = time.monotonic() + PATIENCE
    while True:
        usage = bottle.usage()
        if all(usage[name] <= most for name, most in bound.items()) or time.monotonic() > until:
            return usage


def grown(before, after, bound):
    """What is out of bounds, in words."""
    return [f"{name} grew from {before[name]} to {after[name]}" for name, most in bound.items() if after[name] > most]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--program", required=True)
    arguments.add_argument("--requests", type=int, required=True)
    arguments.add_argument("--folder", required=True)
    arguments.add_argument("--findings", required=True)
    arguments.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    options = arguments.parse_args()

    strategies = prepare()
    bottle = Bottle(options.program, PATIENCE, options.folder, options.findings)
    problems, collected, before, after = [], [], {}, {}
    try:
        print(f"{options.requests} requests with the seed {options.seed}", flush=True)
        began = bottle.engine()
        new = settled(bottle, {"links": LINKS})
        warm = options.requests // 10
        collected += season(bottle, strategies, warm, options.seed)
        # Whatever it remembers of the first requests, it is none of these.
        bound = {name: new[name] + SLACK[name] for name in ("mounts", "processes", "links")}
        bottle.replant()
        before = settled(bottle, bound)
        problems += grown(new, before, bound)
        collected += season(bottle, strategies, options.requests - warm, options.seed + WORKERS)
        bound = {name: before[name] + more for name, more in SLACK.items()}
        bottle.replant()
        after = settled(bottle, bound)
        problems += grown(before, after, bound)
        if bottle.engine() != began:
            problems.append("the engine died, and another took its place")
        problems += bottle.leave()
    except OSError as error:
        problems.append(f"the engine is gone: {error!r}")
    finally:
        log = bottle.log()
    problems += [f"the engine's log says: {line}" for line in log.splitlines() if "panicked" in line or "ran into a bug" in line][:20]
    findings, statuses, slowest = {}, Counter(), (0.0, "")
    for found, counted, took in collected:
        findings, slowest = {**found, **findings}, max(slowest, took)
        statuses.update(counted)
    problems += findings.values()
    with open(os.path.join(options.findings, "engine.log"), "w") as file:
        file.write(log)
    with open(os.path.join(options.findings, "statuses"), "w") as file:
        file.writelines(f"{count:7} {label}\n" for label, count in sorted(statuses.items()))
    with open(os.path.join(options.findings, "findings"), "w") as file:
        file.writelines(f"{problem}\n" for problem in problems)
    print(f"{sum(statuses.values())} requests; the slowest took {slowest[0]:.1f} s: {slowest[1]}\nbefore: {before}\nafter:  {after}")
    for problem in problems[:20]:
        print(problem)
    print(f"{len(problems)} problems; see {options.findings}" if problems else "nothing was found")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
