"""Asks PyPI which packages of a file of pins have known vulnerabilities, and fails where some have.

`pip-audit` says "No known vulnerabilities found" also when it could not ask about a single package,
and with `--strict` it ends at the first one without telling which of both it was. So its answer is
read here: where nobody could be asked, that is said aloud; it is no pass.
"""

from __future__ import annotations

import json
import subprocess
import sys

_COMMAND = ("--format=json", "--progress-spinner=off", "--disable-pip", "--no-deps")
_NO_NETWORK = ("ConnectionError", "ProxyError", "ConnectTimeout", "ReadTimeout", "SSLError")


def main(pins: str) -> int:
    """The exit code: 1 for a vulnerability, and for a package of which nothing is known."""
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
    """What `pip-audit` answers as JSON; nothing, if there is no network."""
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
