"""Take the pictures of docs/how-to/reading-the-report.md from a page.

usage: take_screenshots.py PAGE.html    (needs Pillow, which makes the pictures small)
"""

import sys
from pathlib import Path

from chromium import browser
from PIL import Image

FOLDER = Path(__file__).parent.parent.parent / "docs" / "images"
SHOTS = {
    "report-1440": {"width": 1440, "height": 1250},
    "report-820": {"width": 820, "height": 1250},
    "report-390": {"width": 390, "height": 1100},
    "report-dark": {"width": 1440, "height": 1250, "dark": True},
    "report-frontier": {"width": 1200, "height": 720, "at": "#frontier"},
    "report-examples-dark": {"width": 1200, "height": 820, "dark": True, "at": "#examples"},
}


def main():
    page = Path(sys.argv[1])
    with browser() as chromium:
        for name, shot in SHOTS.items():
            at = shot.pop("at", None)
            chromium.open(page, **shot)
            if at:
                chromium.value(f"document.querySelector('{at}').scrollIntoView()")
            path = FOLDER / f"{name}.png"
            chromium.screenshot(path)
            Image.open(path).convert("RGB").quantize(200, dither=0).save(path, optimize=True)
            sys.stdout.write(f"{path.name}: {path.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
