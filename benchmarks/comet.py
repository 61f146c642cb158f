"""CometBFT to measure beside: built, laid out, started on the loopback, loaded, stopped.

One process for each validator at 127.0.0.2 and on; whatever only waits is put to zero, every sync stays as it is
shipped. Two applications: the key-value application that comes with it and checks nothing, and the same behind a
check of each transaction's Ed25519 signature (`cometbft/checking`).
"""

import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

VERSION = "v1.0.1"
SOURCE = Path(__file__).parent / "cometbft"
TOOLS = Path(__file__).resolve().parents[1] / "build" / "cometbft"
START_S_MAX = 60
TUNED = {
    "timeout_commit": '"0s"', "create_empty_blocks": "false", "peer_gossip_sleep_duration": '"5ms"',
    "size": "20000", "cache_size": "100000", "recheck": "false", "send_rate": "104857600",
    "recv_rate": "104857600", "flush_throttle_timeout": '"2ms"', "indexer": '"null"',
    "max_packet_msg_payload_size": "10240",
}  # fmt: skip
APPLICATIONS = {"kv": "cometbft", "checking": "checking"}


def build() -> bool:
    """Build what is not built yet; tell whether there is a CometBFT to measure beside."""
    wanted = {"cometbft", "checking", "load"}
    if all((TOOLS / name).exists() for name in wanted):
        return True
    if shutil.which("go") is None:
        return False
    TOOLS.mkdir(parents=True, exist_ok=True)
    words = ["go", "build", "-o", f"{TOOLS}/", "./checking", "./load",
             "github.com/cometbft/cometbft/cmd/cometbft"]  # fmt: skip
    subprocess.run(words, cwd=SOURCE, check=True)
    return True


class Net:
    """A network whose nodes run."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self.addresses = [f"127.0.0.{2 + at}" for at in range(count)]
        self.processes: list[psutil.Popen] = []

    def start(self, application: str) -> None:
        """Start all nodes and wait until they know each other."""
        program = TOOLS / APPLICATIONS[application]
        for at in range(len(self.addresses)):
            with (self._folder / f"node{at}.log").open("wb") as log:
                words = [program, "start", "--home", self._folder / f"node{at}"]
                if application == "kv":
                    words += ["--proxy_app", "persistent_kvstore"]
                self.processes.append(psutil.Popen(words, stdout=log, stderr=log))
        deadline = time.monotonic() + START_S_MAX
        while not all(map(self._knows_all, self.addresses)):
            assert time.monotonic() < deadline, f"CometBFT did not start: see {self._folder}"
            time.sleep(0.3)
        time.sleep(1.5)

    def _knows_all(self, address: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}:26657/net_info", timeout=2) as answer:
                peers = json.load(answer)["result"]["n_peers"]
        except OSError:
            return False
        return int(peers) == len(self.addresses) - 1

    def load(self, *options: str) -> dict[str, object]:
        """Run the generator; return what it tells, and what it cost the nodes."""
        rpc = ",".join(f"{address}:26657" for address in self.addresses)
        began, before = time.monotonic(), self._cpu_s()
        done = subprocess.run(
            [TOOLS / "load", "-rpc", rpc, *options], capture_output=True, text=True, check=True
        )
        spent, elapsed = self._cpu_s() - before, time.monotonic() - began
        told: dict[str, object] = json.loads(done.stdout)
        committed = max(1, int(str(told["committed"])))
        return told | {
            "node_cpu_us_per_transaction": round(spent * 1e6 / committed, 1),
            "nodes_cores": round(spent / elapsed, 2),
            "rss_mib": round(max(p.memory_info().rss for p in self.processes) / 2**20),
        }

    def _cpu_s(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self.processes)

    def stop(self) -> None:
        """End all nodes."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except psutil.TimeoutExpired:
                process.kill()


@contextmanager
def running(folder: Path, count: int, application: str) -> Iterator[Net]:
    """Run a fresh network until the block ends."""
    words = [TOOLS / "cometbft", "testnet", "--v", str(count), "--o", folder]
    subprocess.run([*words, "--starting-ip-address", "127.0.0.2"], check=True, capture_output=True)
    net = Net(folder, count)
    for at, address in enumerate(net.addresses):
        _configure(folder / f"node{at}" / "config" / "config.toml", address)
    try:
        net.start(application)
        yield net
    finally:
        net.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _configure(file: Path, address: str) -> None:
    text = file.read_text()
    text = text.replace('laddr = "tcp://127.0.0.1:26657"', f'laddr = "tcp://{address}:26657"')
    text = re.sub(r'laddr = "tcp://0\.0\.0\.0:26656"', f'laddr = "tcp://{address}:26656"', text)
    text = text.replace("pex = true", "pex = false")
    text = text.replace('log_level = "info"', 'log_level = "error"')
    for key, value in TUNED.items():
        text, found = re.subn(rf"(?m)^{re.escape(key)} = .*$", f"{key} = {value}", text)
        assert found, key
    file.write_text(text)
