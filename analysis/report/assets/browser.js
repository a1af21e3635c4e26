"use strict";
// The samples browser: a list that draws only the rows in sight, its filters and its keys.
(() => {
  const { el, byId } = Report;
  const root = byId("browser");
  if (!root) return;
  const ROW = 64;
  const list = byId("list");
  const spacer = list.querySelector(".spacer");
  const detail = byId("detail");
  const controls = { section: byId("by-section"), iteration: byId("by-iteration"), step: byId("by-step"), kind: byId("by-kind"), order: byId("by-order") };
  let data = null;
  let entries = [];
  let shown = [];
  let at = -1;

  const state = {
    query: "",
    comparison: Infinity,
    scales: {},
    compare: (index) => { state.comparison = index; showDetail(); },
    move: (step) => choose(at + step),
    back: () => { list.scrollIntoView({ block: "start" }); list.focus({ preventScroll: true }); },
  };

  const lastTurn = (entry) => entry.prompt.messages[entry.prompt.messages.length - 1]?.[1] ?? "";

  const gainText = (entry) => {
    if (!entry.gain) return null;
    const { value, by } = entry.gain;
    const side = value > 0 ? "up" : value < 0 ? "down" : "";
    return el("span", { class: `gain ${side}` }, `${value >= 0 ? "+" : ""}${Report.fixed(value)} ${by}`);
  };

  const row = (index) => {
    const entry = shown[index];
    const policies = entry.groups.map((group) => group.set.policy).join(" ");
    const item = el("div", {
      class: "item", role: "option", id: `item-${index}`, "aria-posinset": index + 1, "aria-setsize": shown.length,
      onclick: () => { choose(index); reveal(); },
    },
    el("div", {}, lastTurn(entry).slice(0, 160)),
    el("div", { class: "meta" }, el("span", {}, [entry.prompt.section, policies].filter(Boolean).join(" · ")), gainText(entry)));
    item.style.top = `${index * ROW}px`;
    return item;
  };

  /** Draw the rows in sight, with a few above and below; rows that stay are not made anew. */
  let rows = new Map();
  const paint = () => {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 6);
    const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW) + 12);
    const kept = new Map();
    for (let index = first; index < last; index += 1) {
      const item = rows.get(index) ?? spacer.appendChild(row(index));
      item.setAttribute("aria-selected", String(index === at));
      kept.set(index, item);
    }
    for (const [index, item] of rows) if (!kept.has(index)) item.remove();
    rows = kept;
    if (at >= first && at < last) list.setAttribute("aria-activedescendant", `item-${at}`);
    else list.removeAttribute("aria-activedescendant");
  };

  let frame = 0;
  list.addEventListener("scroll", () => { cancelAnimationFrame(frame); frame = requestAnimationFrame(paint); }, { passive: true });
  new ResizeObserver(() => data && paint()).observe(list);

  /** On a phone the prompt lies below the list. */
  const reveal = () => {
    if (getComputedStyle(root.querySelector(".panes")).display === "block") detail.scrollIntoView({ block: "start" });
  };

  const showDetail = () => {
    const entry = shown[at];
    detail.replaceChildren(...(entry ? Report.detail(entry, state) : [el("p", { class: "count" }, "No prompt passes these filters.")]));
    detail.scrollTop = 0;
  };

  const choose = (index) => {
    at = Math.max(0, Math.min(shown.length - 1, index));
    if (shown.length === 0) at = -1;
    const top = at * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    paint();
    showDetail();
  };

  const apply = () => {
    const filter = { query: state.query, ...Object.fromEntries(Object.entries(controls).map(([name, select]) => [name, select.value])) };
    const kept = shown[at];
    shown = Report.select(entries, filter);
    rows.clear();
    spacer.replaceChildren();
    spacer.style.height = `${shown.length * ROW}px`;
    byId("count").textContent = `${shown.length.toLocaleString("en")} of ${entries.length.toLocaleString("en")} prompts`;
    list.scrollTop = 0;
    choose(Math.max(0, shown.indexOf(kept)));
  };

  const options = (select, pairs) => {
    const before = select.value;
    select.replaceChildren(...pairs.map(([value, text]) => el("option", { value }, text)));
    if (pairs.some(([value]) => String(value) === before)) select.value = before;
    select.parentElement.hidden = pairs.length < 2;
  };

  const fill = () => {
    const unique = (values) => [...new Set(values)].filter((value) => value !== null && value !== "").sort();
    const sets = data.sets.filter((set) => set.runs.includes(Report.run));
    const all = (values, text = (value) => value) => [["", "all"], ...values.map((value) => [value, text(value)])];
    options(controls.section, all(unique(entries.map((entry) => entry.prompt.section))));
    options(controls.iteration, all(unique(sets.map((set) => set.iteration)), (i) => (i === 0 ? "base" : String(i))));
    options(controls.step, all(unique(sets.map((set) => set.step))));
    options(controls.kind, Object.entries(Report.KINDS).map(([value, [text]]) => [value, text]));
    options(controls.order, Object.entries(Report.ORDERS).map(([value, [text]]) => [value, text]));
  };

  const begin = () => {
    entries = Report.entries(data, Report.run);
    state.scales = Report.scales(entries);
    fill();
    at = -1;
    apply();
  };

  let timer = 0;
  byId("query").addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(() => { state.query = event.target.value.trim(); apply(); }, 90);
  });
  for (const select of Object.values(controls)) select.addEventListener("change", apply);
  root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());

  const clear = () => {
    byId("query").value = state.query = "";
    for (const select of Object.values(controls)) select.selectedIndex = 0;
    apply();
  };

  const turn = (step) => {
    if (!shown[at]) return;
    const last = Report.comparisons(shown[at]).length - 1;
    state.compare(Math.max(0, Math.min(last, Math.min(state.comparison, last) + step)));
  };

  const toList = () => {
    const box = root.getBoundingClientRect();
    if (box.top > innerHeight * 0.8 || box.bottom < innerHeight * 0.2) byId("samples").scrollIntoView();
    list.focus({ preventScroll: true });
  };

  const GLOBAL = {
    j: () => { toList(); choose(at + 1); },
    k: () => { toList(); choose(at - 1); },
    "/": () => { byId("samples").scrollIntoView(); byId("query").focus({ preventScroll: true }); },
    Escape: clear,
  };
  const IN_LIST = {
    ArrowDown: () => choose(at + 1),
    ArrowUp: () => choose(at - 1),
    PageDown: () => choose(at + Math.floor(list.clientHeight / ROW)),
    PageUp: () => choose(at - Math.floor(list.clientHeight / ROW)),
    Home: () => choose(0),
    End: () => choose(shown.length - 1),
    ArrowLeft: () => turn(-1),
    ArrowRight: () => turn(1),
    Enter: () => { reveal(); detail.focus({ preventScroll: true }); },
  };

  document.addEventListener("keydown", (event) => {
    if (!data || event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, select, textarea");
    if (typing && event.target.id === "query" && event.key === "Escape") { clear(); list.focus(); return; }
    if (typing && event.target.id === "query" && event.key === "ArrowDown") { event.preventDefault(); list.focus(); return; }
    if (typing) return;
    const inside = list.contains(event.target) || detail.contains(event.target);
    const action = GLOBAL[event.key] ?? (inside && (event.target === list || event.key.startsWith("ArrowL") || event.key.startsWith("ArrowR")) ? IN_LIST[event.key] : undefined);
    if (!action) return;
    event.preventDefault();
    action();
  });

  Report.onRun(() => data && begin());
  Report.settled = Report.json("data-samples").then((unpacked) => {
    data = unpacked;
    performance.mark("samples-ready-begin");
    begin();
    performance.mark("samples-ready");
  }).catch((error) => { byId("count").textContent = `The samples cannot be read here: ${error.message}`; });
})();
