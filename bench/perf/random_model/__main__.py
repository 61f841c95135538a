"""Runs what is missing, and writes the page; see the package."""

import argparse
from pathlib import Path

from bench.perf.random_model import __doc__ as about
from bench.perf.random_model.arms import ARMS, SEEDS, course
from bench.perf.random_model.drawing import drawn
from bench.perf.random_model.page import page
from bench.perf.random_model.servers import Served


def main() -> None:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("random-model"), help="ledgers and figures")
    parser.add_argument("--write", type=Path, help="the page; its drawing has the same name and ends in .svg")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with Served(options.folder) as served:
        courses = {arm.key: [course(arm, seed, options.folder, served) for seed in SEEDS] for arm in ARMS}
    drawing = options.write.with_suffix(".svg") if options.write else None
    text = page(courses, drawing.name if drawing else "")
    print(text)
    if options.write and drawing:
        options.write.write_text(text, encoding="utf-8")
        drawing.write_text(drawn(courses), encoding="utf-8")


if __name__ == "__main__":
    main()
