"""Checks a file of pinned packages for known vulnerabilities on PyPI, and fails if there are any.

`pip-audit` prints "No known vulnerabilities found" even if it could not check a single package.
With `--strict` it stops at the first problem and does not report whether the package is vulnerable
or unknown. This script therefore reads the JSON output. If PyPI cannot be reached, the script
prints a warning that nothing was audited.
"""

from __future__ import annotations

import json
import subprocess
import sys

_COMMAND = ("--format=json", "--progress-spinner=off", "--disable-pip", "--no-deps")
_NO_NETWORK = ("ConnectionError", "ProxyError", "ConnectTimeout", "ReadTimeout", "SSLError")


def main(pins: str) -> int:
    """Audit the packages in the file *pins* and return the exit code.

    The exit code is 1 if a package is vulnerable or unknown to PyPI. It is 0 without a network.
    """
    answer = _ask(pins)
    packages = json.loads(answer)["dependencies"] if answer else []
    vulnerable = [package for package in packages if package.get("vulns")]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if len(unknown) == len(packages):
        _say("*** NOT AUDITED: the vulnerability service cannot be reached. This is no pass. ***")
        return 0
    for package in vulnerable:
        known = ", ".join(vulnerability["id"] for vulnerability in package["vulns"])
        _say(f"{package['name']} {package['version']}: {known}")
    if unknown:
        _say(f"Not audited, because PyPI does not know them: {', '.join(unknown)}")
    _say(f"{len(packages) - len(unknown)} packages audited, {len(vulnerable)} vulnerable")
    return int(bool(vulnerable or unknown))


def _ask(pins: str) -> str:
    """Return the JSON output of `pip-audit`; an empty text if there is no network.

    Raises:
        SystemExit: `pip-audit` failed for another reason.
    """
    command = [sys.executable, "-m", "pip_audit", *_COMMAND, "--requirement", pins]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    last = run.stderr.strip().rpartition("\n")[2]
    if not run.stdout and not any(name in last for name in _NO_NETWORK):
        raise SystemExit(f"pip-audit failed:\n{run.stderr}")
    return run.stdout


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
