"""A Ray cluster of two nodes on loopback, for tests: ``python tests/cluster/ray_nodes.py``.

Jobs run on the second node. It prints the address of its head, obeys lines on its standard input
(``lose`` adds a third node, then ends the second as a power cut would) and ends when that closes.
``RAY_AUTH_MODE`` is taken from the environment.
"""

from __future__ import annotations

import os
import sys

SMALL = {"object_store_memory": 80_000_000}
HEAD = {**SMALL, "num_cpus": 0, "include_dashboard": False}


def main() -> None:
    """Start both nodes, then wait for words."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=HEAD)
    second = cluster.add_node(num_cpus=1, **SMALL)
    cluster.wait_for_nodes()
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line.strip() == "lose":
            cluster.add_node(num_cpus=1, **SMALL)
            cluster.remove_node(second, allow_graceful=False)
            print("lost", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
