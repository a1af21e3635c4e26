"use strict";
// The plan: what a stage reads and who reads it, by pointer, finger or keyboard.
(() => {
  const { el } = Report;

  const fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));

  const describe = async (key) => {
    const stages = await Report.json("data-stages");
    const stage = stages[key];
    const named = (keys) => keys.map((one) => `${(stages[one]?.name ?? "unknown").replaceAll("_", " ")} ${one.slice(0, 8)}`).join(", ");
    const facts = [
      fact("state", stage.state),
      stage.seconds !== null && fact("seconds", Report.number(stage.seconds, 1)),
      stage.runs.length > 0 && fact("used by", stage.runs.join(", ")),
      ...Object.entries(stage.inputs).map(([field, keys]) => fact(`input: ${field}`, named(keys))),
      ...Object.entries(stage.counts).map(([name, value]) =>
        fact(name.replaceAll("_", " "), typeof value === "number" ? Report.number(value) : JSON.stringify(value)),
      ),
    ];
    Report.byId("stage").replaceChildren(
      el("h3", {}, `${stage.name.replaceAll("_", " ")}${stage.label ? ` · ${stage.label}` : ""}`),
      el("dl", { class: "facts" }, ...facts.filter(Boolean)),
      el("p", { class: "path" }, el("code", {}, stage.folder ?? "its artifact is not in the store")),
    );
    Report.byId("stage").hidden = false;
  };

  /** Make one drawing answer to pointer, finger and keyboard. */
  const live = (graph) => {
    const nodes = new Map([...graph.querySelectorAll(".node")].map((node) => [node.dataset.key, node]));
    const edges = [...graph.querySelectorAll(".edge")];
    const upstream = new Map();
    const downstream = new Map();
    for (const edge of edges) {
      const { from, to } = edge.dataset;
      upstream.set(to, [...(upstream.get(to) ?? []), from]);
      downstream.set(from, [...(downstream.get(from) ?? []), to]);
    }

    const reach = (key, links) => {
      const found = new Set([key]);
      for (const one of found) (links.get(one) ?? []).forEach((next) => found.add(next));
      return found;
    };

    let chosen = null;
    const trace = (key) => {
      graph.classList.toggle("traced", Boolean(key));
      if (!key) return;
      const [above, below] = [reach(key, upstream), reach(key, downstream)];
      for (const [other, node] of nodes) node.classList.toggle("on", above.has(other) || below.has(other));
      for (const edge of edges) {
        const { from, to } = edge.dataset;
        edge.classList.toggle("on", (above.has(from) && above.has(to)) || (below.has(from) && below.has(to)));
      }
    };

    const choose = (key) => {
      chosen = chosen === key ? null : key;
      for (const [other, node] of nodes) node.setAttribute("aria-pressed", String(other === chosen));
      trace(chosen);
      if (chosen) describe(chosen);
      else Report.byId("stage").hidden = true;
    };

    for (const [key, node] of nodes) {
      node.addEventListener("pointerenter", () => trace(key));
      node.addEventListener("pointerleave", () => trace(chosen));
      node.addEventListener("focus", () => trace(key));
      node.addEventListener("blur", () => trace(chosen));
      node.addEventListener("click", () => choose(key));
      node.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose(key);
      });
    }
  };

  const graphs = [...document.querySelectorAll(".graph")];
  graphs.forEach(live);
  for (const button of document.querySelectorAll("[data-graph]")) {
    button.addEventListener("click", () => {
      for (const other of document.querySelectorAll("[data-graph]")) other.setAttribute("aria-pressed", String(other === button));
      graphs.forEach((graph, index) => { graph.hidden = index !== Number(button.dataset.graph); });
    });
  }

  // Of many runs, one is followed: the stages of the others step back.
  const own = Report.byId("own");
  const mark = async () => {
    const stages = await Report.json("data-stages");
    const { name } = Report.byId("run").selectedOptions[0].dataset;
    const on = own.getAttribute("aria-pressed") === "true";
    for (const node of document.querySelectorAll(".node")) {
      node.classList.toggle("aside", on && !stages[node.dataset.key].runs.includes(name));
    }
  };
  if (own) {
    own.addEventListener("click", () => {
      own.setAttribute("aria-pressed", String(own.getAttribute("aria-pressed") !== "true"));
      mark();
    });
    Report.onRun(mark);
  }
})();
