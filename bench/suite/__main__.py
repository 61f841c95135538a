"""Runs what is missing, and writes both pages; see the package."""

import argparse
from pathlib import Path

from bench.suite import __doc__ as about
from bench.suite.page import gallery, page
from bench.suite.plot import small
from bench.suite.runs import rows

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("suite"), help="ledgers")
    parser.add_argument("--only", action="append", default=[], metavar="PROBLEM", help="and write nothing")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    found = rows(options.folder, options.only)
    print(page(found))
    if options.only:
        return
    plots = ROOT / "docs" / "suite"
    plots.mkdir(exist_ok=True)
    for row in found:
        if row.courses:
            (plots / f"{row.name}.svg").write_text(small(row), encoding="utf-8")
    (ROOT / "docs" / "suite.md").write_text(page(found), encoding="utf-8")
    (ROOT / "problems" / "README.md").write_text(gallery(found), encoding="utf-8")


if __name__ == "__main__":
    main()
