"""Starts the Chromium that is there: $CHROMIUM, one of the usual names, or playwright's own."""

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge",
         "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
         r"C:\Program Files\Google\Chrome\Application\chrome.exe",
         r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")


def executable() -> str | None:
    """The path of a Chromium, or None."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    return next((found for name in NAMES if (found := shutil.which(name) or (name if Path(name).is_file() else None))), None)


def launch():
    """(browser, stop, None), or (None, None, reason) where there is none."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        return None, None, "playwright is not installed: pip install -r requirements-test.txt"
    driver = sync_playwright().start()
    try:
        browser = driver.chromium.launch(executable_path=executable(), args=list(FLAGS))
    except Error as error:
        driver.stop()
        return None, None, f"no Chromium was found; name one in the variable CHROMIUM ({str(error).splitlines()[0]})"

    def stop():
        browser.close()
        driver.stop()

    return browser, stop, None
