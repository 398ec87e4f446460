"""The browser that pages are looked at in, where there is one."""

import shutil

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NONE = "no Chromium is installed: there is nothing to look at pages with"
