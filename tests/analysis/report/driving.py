"""What a reader does in a browser, by Selenium."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

PATIENCE_S = 60


def until(happened: Callable[[], Any]) -> Any:
    """Wait for something to become true; returns it."""
    end = time.monotonic() + PATIENCE_S
    while not (found := happened()):
        if time.monotonic() > end:
            pytest.fail("the page did not get there")
        time.sleep(0.02)
    return found


def js(driver: Any, code: str, *arguments: Any) -> Any:
    return driver.execute_script(f"return {code}", *arguments)


def text(driver: Any, selector: str) -> str:
    return js(driver, "document.querySelector(arguments[0])?.innerText ?? ''", selector)


def press(driver: Any, *keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(driver).send_keys(*keys).perform()


def click(driver: Any, selector: str) -> None:
    element = driver.find_element("css selector", selector)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def chosen(driver: Any) -> str:
    return text(driver, ".item[aria-selected=true] div")


def count(driver: Any, selector: str) -> int:
    return js(driver, "document.querySelectorAll(arguments[0]).length", selector)


def draw_all(driver: Any) -> None:
    """Unfold everything and pass every chart, as a reader does, until all are drawn."""
    driver.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    shown = "[...document.querySelectorAll('[data-chart]')].filter((one) => one.offsetParent)"
    for index in range(js(driver, f"{shown}.length")):
        driver.execute_script(f"{shown}[arguments[0]].scrollIntoView({{behavior: 'instant'}})", index)
        until(lambda index=index: js(driver, f"{shown}[arguments[0]].querySelector('.main-svg') !== null", index))
