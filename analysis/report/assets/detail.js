"use strict";
// One prompt: its turns, and the responses of an older and a newer policy side by side.
(() => {
  const { el } = Report;

  /** Text with the words of the query marked; built from text nodes only. */
  const highlighted = (text, words) => {
    if (words.length === 0) return [text];
    const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const parts = text.split(new RegExp(`(${escaped.join("|")})`, "gi"));
    return parts.map((part, index) => (index % 2 ? el("mark", {}, part) : part));
  };

  const turn = ([role, content], words) =>
    el("div", { class: "turn" }, el("p", { class: "role" }, role), el("p", { class: "text" }, ...highlighted(content, words)));

  const bars = (answer, group, scales) =>
    group.set.scorers.map((name, index) => {
      const reward = answer.rewards[index];
      const [low, high] = scales[name];
      const share = typeof reward === "number" && high > low ? (reward - low) / (high - low) : 0;
      const fill = el("div", { class: "fill" });
      fill.style.width = `${Math.round(100 * share)}%`;
      return el("div", { class: "score" }, el("span", {}, name), el("b", {}, typeof reward === "number" ? Report.fixed(reward) : "–"), el("div", { class: "track" }, fill));
    });

  /** Lowest and highest reward by scorer over all responses of the run: no two reward models have one scale. */
  Report.scales = (entries) => {
    const scales = {};
    for (const group of entries.flatMap((entry) => entry.groups)) {
      group.set.scorers.forEach((name, index) => {
        const values = group.answers.map((answer) => answer.rewards[index]).filter((value) => typeof value === "number");
        const [low, high] = scales[name] ?? [Infinity, -Infinity];
        scales[name] = [Math.min(low, ...values), Math.max(high, ...values)];
      });
    }
    return scales;
  };

  const tags = (answer) => [
    ...answer.marks.map(([, part, source]) =>
      el("span", { class: `tag ${part}` }, `${part === "chosen" ? "✓" : "✗"} ${part}${source ? ` · ${source.replaceAll("_", " ")}` : ""}`)),
    ...(answer.finished ? [] : [el("span", { class: "tag cut" }, "cut off at the length limit")]),
  ];

  const LONG = 700;
  const answerCard = (answer, group, scales, words) => {
    const marks = new Set(answer.marks.map(([, part]) => part));
    const kind = marks.has("chosen") ? "chosen" : marks.has("rejected") ? "rejected" : "";
    const long = answer.text.length > LONG;
    const text = el("p", { class: `text${long ? " long" : ""}`, dir: "auto" }, ...highlighted(answer.text, words));
    const more = long && el("button", { type: "button", class: "more", "aria-expanded": "false", onclick: (event) => {
      const open = text.classList.toggle("open");
      event.target.textContent = open ? "Show less" : "Show all";
      event.target.setAttribute("aria-expanded", String(open));
    } }, "Show all");
    const found = tags(answer);
    return el("li", { class: `answer ${kind}` },
      found.length > 0 && el("div", { class: "marks" }, ...found),
      answer.text === "" ? el("p", { class: "size" }, "(empty response)") : text,
      more,
      el("div", { class: "scores" }, ...bars(answer, group, scales)),
      el("p", { class: "size" }, `response ${answer.index + 1} · ${answer.tokens} tokens`));
  };

  const column = (group, role, scales, words) => {
    const best = (answer) => (typeof answer.rewards[0] === "number" ? answer.rewards[0] : -Infinity);
    const sorted = [...group.answers].sort((a, b) => best(b) - best(a) || a.index - b.index);
    const by = group.set.scorers.length > 0 ? `best first by ${group.set.scorers[0]}` : "not scored";
    return el("section", { "aria-label": `${role} ${group.set.policy}` },
      el("h4", {}, `${role}${role ? " policy " : "Policy "}${group.set.policy}`),
      el("p", { class: "by" }, `${group.set.where} · ${by}`),
      el("ul", { class: "answers" }, ...sorted.map((answer) => answerCard(answer, group, scales, words))));
  };

  /** The comparisons that a prompt offers: each two policies that follow each other, or its only one. */
  Report.comparisons = (entry) =>
    entry.groups.length === 1 ? [[entry.groups[0]]] : entry.groups.slice(1).map((group, index) => [entry.groups[index], group]);

  Report.detail = (entry, state) => {
    const words = state.query.split(/\s+/).filter(Boolean);
    const choices = Report.comparisons(entry);
    const shown = choices[Math.min(state.comparison, choices.length - 1)];
    const roles = shown.length === 1 ? [""] : ["Old", "New"];
    const buttons = choices.length > 1 && el("div", { class: "choices", role: "group", "aria-label": "Policies compared" },
      ...choices.map((pair, index) => el("button", {
        type: "button", "aria-pressed": String(pair === shown), onclick: () => state.compare(index),
      }, pair.map((group) => group.set.policy).join(" → "))));
    const move = (step, label) => el("button", { type: "button", "aria-label": label, onclick: () => state.move(step) }, step < 0 ? "↑" : "↓");
    const gain = entry.gain && `${entry.gain.value >= 0 ? "+" : ""}${Report.number(entry.gain.value)} mean ${entry.gain.by}, oldest to newest`;
    return [
      el("div", { class: "detail-head" },
        el("span", {}, [entry.prompt.section, entry.prompt.id, gain].filter(Boolean).join(" · ")),
        el("span", { class: "moves" }, move(-1, "Previous prompt"), move(1, "Next prompt"),
          el("button", { type: "button", class: "back", onclick: () => state.back() }, "Back to the list"))),
      el("div", { class: "prompt" }, ...entry.prompt.messages.map((message) => turn(message, words))),
      buttons,
      el("div", { class: `columns${shown.length === 1 ? " single" : ""}` },
        ...shown.map((group, index) => column(group, roles[index], state.scales, words))),
    ].filter(Boolean);
  };
})();
