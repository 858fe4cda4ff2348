"""Serves the page: ``ganbook run``, and ``python app.py``, which is what Hugging Face Spaces runs."""

from __future__ import annotations

import argparse
import os
import re
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo.backends import Replicas

# Before Gradio is imported: nothing is reported to anybody, and no font or script comes from elsewhere.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Idle workers of OpenMP that spin instead of sleeping take the cores away from the page.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


HEAD_START_S = 0.7


def device(name: str) -> str:
    """Whether there is such a device is found out when it is needed: torch would take seconds to load here."""
    if not re.fullmatch(r"auto|cpu|mps|xpu|cuda(:\d+)?", name):
        raise argparse.ArgumentTypeError("a device is cpu, mps, cuda or cuda:1")
    return name


def arguments(given: list[str] | None = None, prog: str = "app.py") -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=prog, description="A notebook of GAN image editing in the browser.")
    add = parser.add_argument
    add("--host", default=None, help="address to listen on; 127.0.0.1 if not given, 0.0.0.0 for the whole network")
    add("--port", type=int, default=None, help="port; the first free one from 7860 if not given")
    add(
        "--device",
        default=None,
        type=device,
        help="cpu, cuda, cuda:1, mps; CUDA if there is one, else the CPU, if not given",
    )
    add("--share", action="store_true", help="also make a public address at gradio.live for 72 hours (off by default)")
    add("--auth", default=None, help="user:password, or a file with one such line for each user")
    add("--root-path", default=None, help="path under which a proxy in front shows the page, such as /ganbook")
    add("--backend", choices=("local", "ray"), default="local", help="where pictures are made; ray: by Ray Serve")
    add("--replicas", default="1", metavar="N", help="of --backend ray: a number, or 1-8 for as many as are needed")
    add("--replica-cpus", type=float, default=1, metavar="N", help="cores that each replica has (default: 1)")
    add("--replica-gpus", type=float, default=0, metavar="N", help="GPUs, or a part of one, for each (default: 0)")
    add("--offline", action="store_true", help="never ask the network for a checkpoint")
    add("--mcp", action="store_true", help="offer the page's functions as MCP tools too")
    return parser.parse_args(given)


def users(auth: str | None) -> list[tuple[str, str]] | None:
    """``"user:password"`` or a file of such lines -> pairs. Ends the program with a sentence if it is neither."""
    if auth is None:
        return None
    path = Path(auth)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else [auth]
    pairs = [line.strip().partition(":") for line in lines if line.strip() and not line.startswith("#")]
    if not pairs or not all(user and password for user, _, password in pairs):
        sys.exit("--auth takes user:password, or a file with one such line for each user.")
    return [(user, password) for user, _, password in pairs]


def remote_replicas(options: argparse.Namespace) -> Replicas | None:
    """What ``--backend ray`` is to start; None where pictures are made here. Ends the program with a sentence."""
    if options.backend != "ray":
        return None
    from demo.backends import Replicas

    try:
        return Replicas.parse(options.replicas, options.replica_cpus, options.replica_gpus)
    except ValueError:
        sys.exit("--replicas takes a number such as 2, or a range such as 1-8; cores and GPUs are not negative.")


def at_hand() -> str:
    """Which checkpoints need no download, in one line."""
    import weights

    names = [name for name in weights.names() if weights.status(name) in ("shipped", "cached")]
    elsewhere = len(weights.names()) - len(names)
    return f"checkpoints at hand: {', '.join(names) or 'none'}; {elsewhere} more on the Hugging Face Hub"


def main(given: list[str] | None = None, prog: str = "app.py") -> None:
    options = arguments(given, prog)
    auth = users(options.auth)
    if options.device:
        os.environ["GANBOOK_DEVICE"] = options.device
    if options.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"

    from weights import workspace

    workspace.use()  # before Gradio is imported, which looks for its folder then

    import demo

    replicas = remote_replicas(options)
    if replicas is not None:
        from demo import backends

        backends.use(backends.RayServe.start(replicas))
    if options.mcp:
        from demo import mcp_tools

        mcp_tools.install()
    page = demo.build()
    try:
        _app, local, public = page.launch(
            server_name=options.host,
            server_port=options.port,
            share=options.share,
            auth=auth,
            root_path=options.root_path,
            mcp_server=options.mcp,
            quiet=True,
            prevent_thread_lock=True,
            **demo.launch_options(),
        )
    except OSError:
        sys.exit("The page cannot be served there: the port is taken, or the address is not this machine's.")
    if page.mcp_error:
        print(page.mcp_error)
    print(f"ganbook is at {public or local}", flush=True)
    print(at_hand(), flush=True)
    # The page can be painted without torch; by the time somebody asks for a picture it is there.
    threading.Thread(target=_import_torch, name="import torch", daemon=True).start()
    page.block_thread()


def _import_torch() -> None:
    # A browser that waits for the address asks for all of the page now; importing at the same time would delay both.
    time.sleep(HEAD_START_S)
    import pipelines.stylegan2  # noqa: F401
    from demo import memory

    memory.started()
