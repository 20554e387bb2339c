"""Judge every package: ``python -m tests.league``, or with names of adapters only these.

What has been judged already by the same questions, adapter and requirements is not judged again.
"""
import json
import sys
import time

from .packages import OURS, PACKAGES
from .running import RESULTS, compare, fingerprint, judged
from .table import write_pages


def main(names: list[str]) -> None:
    RESULTS.mkdir(exist_ok=True)
    packages = [package for package in PACKAGES if not names or package.adapter in names]
    mine = judged(OURS)
    ours = mine["ratios"]
    for number, package in enumerate(packages, 1):
        file = RESULTS / f"{package.adapter}.json"
        kept = json.loads(file.read_text()) if file.exists() else {}
        print(f"{number:2d}/{len(packages)} {package.adapter} ", end="", flush=True)
        if kept.get("fingerprint") == fingerprint(package) and "error" not in kept:
            print("already judged")
            continue
        start = time.monotonic()
        result = mine if package is OURS else judged(package)
        compare(result, ours)
        file.write_text(json.dumps(result, indent=1) + "\n")
        said = result.get("error", f"{len(result.get('wrong', []))} wrong")
        print(f"{said} ({time.monotonic() - start:.0f} s)")
    write_pages(RESULTS)


if __name__ == "__main__":
    main(sys.argv[1:])
