"""A server with a thousand connections at once, and its memory over a hundred thousand requests.

    python benchmarks/serve_many.py --json benchmarks/json/serve_many.json

The server runs in a process of its own, on loopback, with simulated galaxies of 424 pixels. First
each image is asked about alone; then --connections are opened, and when all are open each sends an
image and waits for what is predicted, which has to be what was predicted alone, to the last digit.
Then --requests are sent over 32 connections: pages of a catalogue, histograms, single galaxies,
pictures, and an image to predict in each hundredth."""

import argparse
import asyncio
import itertools
import json
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

import galaxyvotes as gv
from provenance import write
from serve_load import BOUNDARY, Serving, body_of

CLIENTS = 32
PARTS = 10  # of the requests, after each of which memory is read


class Connection:
    """A connection that is kept, and asked by hand: HTTP clients limit how many there are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @staticmethod
    async def open(port: int) -> "Connection":
        return Connection(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """The status of an answer, and what it holds."""
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        if body:
            kind = f"multipart/form-data; boundary={BOUNDARY}"
            head += f"content-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        self.writer.write(head.encode() + b"\r\n" + body)
        await self.writer.drain()
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        data = b""
        if "content-length" in fields:
            data = await self.reader.readexactly(int(fields["content-length"]))
        elif "transfer-encoding" in fields:
            while size := int(await self.reader.readline(), 16):
                data += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
        return int(lines[0].split()[1]), data

    def close(self) -> None:
        self.writer.close()


async def many(port: int, bodies: list[bytes], alone: list[str], count: int) -> dict[str, object]:
    """So many connections at once, each with an image."""
    start = time.perf_counter()
    opened = await asyncio.gather(*(Connection.open(port) for _ in range(count)))
    connected = time.perf_counter() - start

    async def one(number: int) -> str:
        status, data = await opened[number].ask("/predict", bodies[number % len(bodies)])
        if status == 200:
            found = json.dumps(json.loads(data)["galaxies"])
            return "right" if found == alone[number % len(bodies)] else "mixed up"
        return f"status {status}"

    results = await asyncio.gather(*map(one, range(count)), return_exceptions=True)
    seconds = time.perf_counter() - start
    for connection in opened:
        connection.close()
    counts = Counter(one if isinstance(one, str) else type(one).__name__ for one in results)
    return {
        "connections": count,
        "answers": dict(counts),
        "seconds_to_connect": round(connected, 2),
        "seconds": round(seconds, 2),
    }


def paths(ids: list[str]) -> "itertools.cycle[str]":
    """Addresses of the catalogue, the kinds in turn."""
    random = np.random.default_rng(0)
    found = []
    for name in ids:
        low = round(float(random.uniform(0.1, 0.6)), 3)
        found += [
            f"/galaxies?filter=Class1.1:{low}..&sort=-Class1.1&limit=60&column=Class1.1",
            f"/galaxies/{name}",
            f"/histograms?column=Class1.1&column=Class1.2&filter=Class4.1:{low}..",
            f"/galaxies/{name}/thumbnail",
            f"/galaxies/{name}/image",
        ]
    return itertools.cycle(found)


async def long(
    serving: Serving, ids: list[str], bodies: list[bytes], requests: int
) -> dict[str, object]:
    """So many requests, and the memory after each tenth of them."""
    addresses, statuses = paths(ids), Counter[str]()
    megabytes, seconds = [round(serving.megabytes, 1)], 0.0
    opened = await asyncio.gather(*(Connection.open(serving.port) for _ in range(CLIENTS)))

    async def client(connection: Connection, count: int, first: int) -> None:
        for number in range(first, first + count):
            if number % 100 == 0:
                status, _ = await connection.ask("/predict", bodies[number // 100 % len(bodies)])
            else:
                status, _ = await connection.ask(next(addresses))
            statuses[str(status)] += 1

    each = requests // PARTS // CLIENTS
    for _ in range(PARTS):
        start = time.perf_counter()
        await asyncio.gather(*(client(one, each, 7 * n) for n, one in enumerate(opened)))
        seconds += time.perf_counter() - start
        megabytes.append(round(serving.megabytes, 1))
        print(sum(statuses.values()), "requests,", megabytes[-1], "MB", flush=True)
    for connection in opened:
        connection.close()
    done = sum(statuses.values())
    return {
        "requests": done,
        "statuses": dict(statuses),
        "a_second": round(done / seconds, 1),
        "megabytes": megabytes,
    }


async def alone(port: int, bodies: list[bytes]) -> list[str]:
    """What is predicted of each image by itself."""
    connection = await Connection.open(port)
    found = [json.loads((await connection.ask("/predict", body))[1]) for body in bodies]
    connection.close()
    return [json.dumps(one["galaxies"]) for one in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        zoo = gv.simulate(folder / "zoo", galaxies=options.images, size_px=424)
        table = folder / "answers.parquet"
        gv.predict(zoo / "images", table, progress=False)
        files = sorted((zoo / "images").iterdir())
        bodies = [body_of(file) for file in files]
        ids = [file.stem for file in files]
        with Serving(table, "--images", zoo / "images") as serving:
            by_itself = asyncio.run(alone(serving.port, bodies))
            at_once = asyncio.run(many(serving.port, bodies, by_itself, options.connections))
            print(at_once, flush=True)
            lasting = asyncio.run(long(serving, ids, bodies, options.requests))
    write(options.json, {"at_once": at_once, "lasting": lasting})


if __name__ == "__main__":
    main()
