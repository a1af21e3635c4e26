"use strict";
// What every part of the page uses: elements, packed data, the theme, the chosen run.
const Report = {};

(() => {
  /** Make an element. Text goes in as text, never as HTML: responses are data from outside. */
  Report.el = (tag, properties = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "class") element.className = value;
      else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  };

  Report.byId = (id) => document.getElementById(id);

  // The packed data stand at the end of the file, so that the page shows before they have been read.
  const ready = new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));

  /** Unpack base64 and gzip into text. */
  Report.text = async (id) => {
    await ready;
    if (!("DecompressionStream" in window)) throw new Error("this browser is too old (it lacks DecompressionStream)");
    const packed = atob(Report.byId(id).textContent);
    const bytes = new Uint8Array(packed.length);
    for (let i = 0; i < packed.length; i += 1) bytes[i] = packed.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };

  const once = new Map();
  /** Run an asynchronous piece of work once, however many ask for it. */
  Report.once = (name, work) => {
    if (!once.has(name)) once.set(name, work());
    return once.get(name);
  };
  Report.json = (id) => Report.once(id, async () => JSON.parse(await Report.text(id)));

  /** Call `draw` when the element comes near the screen. */
  const waiting = new Map();
  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((one) => one.isIntersecting)) {
        near.unobserve(entry.target);
        waiting.get(entry.target)();
      }
    },
    { rootMargin: "500px 0px" },
  );
  Report.whenNear = (element, draw) => {
    waiting.set(element, draw);
    near.observe(element);
  };

  /** Do something once the page is shown, its samples are listed, and nothing waits. */
  const soon = window.requestIdleCallback ?? ((work) => setTimeout(work, 300));
  Report.whenIdle = async (work) => {
    await ready;
    await Report.settled;
    soon(() => work());
  };

  /** Format a number for people. */
  Report.number = (value, digits = 3) => {
    if (value === null || value === undefined) return "–";
    if (value !== 0 && Math.abs(value) < 10 ** -digits) return value.toExponential(1).replaceAll("-", "−");
    return value.toLocaleString("en", { maximumFractionDigits: digits }).replace("-", "−");
  };

  /** Format a reward so that rewards stand below each other. */
  Report.fixed = (value) => value.toFixed(Math.abs(value) < 100 ? 2 : 0).replace("-", "−");

  // Theme: the system's, until the reader says otherwise.
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const listeners = [];
  Report.onTheme = (listener) => listeners.push(listener);
  Report.dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const announce = () => listeners.forEach((listener) => listener());
  const remember = (theme) => {
    try {
      if (theme) localStorage.setItem("report-theme", theme);
      return localStorage.getItem("report-theme");
    } catch {
      return theme; // A page opened from a file may have no storage: the choice then lasts as long as the page.
    }
  };
  const stored = remember();
  if (stored) root.dataset.theme = stored;
  system.addEventListener("change", announce);
  Report.byId("theme").addEventListener("click", () => {
    root.dataset.theme = Report.dark() ? "light" : "dark";
    remember(root.dataset.theme);
    announce();
  });

  /** Return a custom property as the colour that it has now. */
  const probe = document.body.appendChild(Report.el("span", { hidden: true }));
  Report.color = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };

  // The chosen run of a sweep.
  const choosers = [];
  Report.run = 0;
  Report.onRun = (listener) => choosers.push(listener);
  const select = Report.byId("run");
  if (select) {
    select.addEventListener("change", () => {
      Report.run = Number(select.value);
      for (const part of document.querySelectorAll("[data-run]")) part.hidden = Number(part.dataset.run) !== Report.run;
      choosers.forEach((listener) => listener());
    });
  }

  // The bar shows which section is being read.
  const links = new Map([...document.querySelectorAll(".bar li a")].map((a) => [a.hash.slice(1), a]));
  const list = document.querySelector(".bar ul");
  const reading = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((one) => one.isIntersecting)) {
        for (const link of links.values()) link.removeAttribute("aria-current");
        const link = links.get(entry.target.id);
        link.setAttribute("aria-current", "true");
        list.scrollLeft = link.offsetLeft - list.offsetLeft - list.clientWidth / 3;
      }
    },
    { rootMargin: "-15% 0px -75% 0px" },
  );
  for (const id of links.keys()) reading.observe(Report.byId(id));
})();
