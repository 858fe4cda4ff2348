"""``make audit``: asks the advisory database about every installed package, where it can be reached.

Ends with an error for a known vulnerability that pyproject.toml does not set aside with a reason. Where nobody answers
(a mirror of the package index has no advisories) it says so and fails nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

LIMIT_S = 180
COMMAND = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--timeout", "10"]


def verdict(dependencies: list[dict], set_aside: dict[str, str]) -> tuple[int, list[str]]:
    """The exit status, and lines to print, for pip-audit's list."""
    asked = [d for d in dependencies if "skip_reason" not in d]
    if not asked:
        return 0, ["No advisory database answers here, so no package was audited."]
    lines, open_ones = [], 0
    for package in asked:
        for found in package["vulns"]:
            reason = next((set_aside[i] for i in (found["id"], *found.get("aliases", [])) if i in set_aside), None)
            open_ones += reason is None
            fixed = ", ".join(found["fix_versions"]) or "no release yet"
            lines.append(
                f"{package['name']} {package['version']}: {found['id']}, fixed in {fixed}"
                + (f" (set aside: {reason})" if reason else "")
            )
    unknown = len(dependencies) - len(asked)
    lines.append(f"{len(asked)} packages audited, {open_ones} open advisories, {unknown} packages not known there.")
    return int(open_ones > 0), lines


def main() -> int:
    pyproject = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=LIMIT_S)
        dependencies = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        print("No advisory database answers here, so no package was audited.")
        return 0
    status, lines = verdict(dependencies, pyproject["tool"]["ganbook"]["audit"])
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
