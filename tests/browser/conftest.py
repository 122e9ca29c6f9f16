"""Chromium without a window, driven by selenium; the tests are skipped where either is missing."""

import os
import shutil
from pathlib import Path

import pytest

SIZE = (1280, 800)  # of a projector


def program(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"needs {names[0]}, which is not installed (Debian: apt install chromium chromium-driver)")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser that knows nothing of earlier ones and cannot be reached by tests that run beside it."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs the extra 'browser'")
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium", "chromium-browser", "google-chrome")
    service = webdriver.ChromeService(program("chromedriver"), env={**os.environ, "SE_OFFLINE": "true"})
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-dev-shm-usage",
        "--no-first-run",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=service)
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": SIZE[0], "height": SIZE[1], "deviceScaleFactor": 1, "mobile": False},
    )
    yield driver
    driver.quit()


class OpenPage:
    """A page in the browser, and short ways to ask and to tell it something."""

    def __init__(self, driver, file: Path) -> None:
        self.driver = driver
        driver.get(file.as_uri())

    def ask(self, expression: str, *arguments):
        return self.driver.execute_script(f"return {expression}", *arguments)

    def find(self, selector: str):
        return self.driver.find_element("css selector", selector)

    def count(self, selector: str) -> int:
        return len(self.driver.find_elements("css selector", selector))

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def numbers(self, selector: str) -> dict[str, float]:
        """The engine's values behind the numbers shown in an element, by what they are."""
        shown = self.driver.find_elements("css selector", f"{selector} .number")
        return {n.get_attribute("data-what"): float(n.get_attribute("data-value")) for n in shown}

    def press(self, *keys: str, shift: bool = False) -> None:
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.keys import Keys

        for key in keys:
            chain = ActionChains(self.driver)
            if shift:
                chain.key_down(Keys.SHIFT)
            chain.send_keys(getattr(Keys, key) if len(key) > 1 else key)
            if shift:
                chain.key_up(Keys.SHIFT)
            chain.perform()

    def go_to(self, name: str) -> int:
        """Go to the step of an op, such as "concat in inception4a"."""
        step = self.ask("steps.findIndex((op) => nameOfOp(op) === arguments[0])", name)
        assert step >= 0
        self.driver.execute_script("goTo(arguments[0])", step)
        return step

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture
def open_page(chromium):
    return lambda file: OpenPage(chromium, file)
