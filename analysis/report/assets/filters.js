"use strict";
// Filtering and ordering of samples: pure functions on the unpacked data.
(() => {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  /** Rewards of a group's responses by one scorer; null where some are missing. */
  const given = (group, index) => {
    const values = group.answers.map((answer) => answer.rewards[index]);
    return values.every((value) => typeof value === "number") ? values : null;
  };

  /** Mean reward of the newest policy less the oldest's, by gold or else the first scorer both have; else null. */
  const gain = (groups) => {
    const [first, last] = [groups[0], groups[groups.length - 1]];
    if (first === last) return null;
    const both = first.set.scorers.filter((name) => last.set.scorers.includes(name));
    const name = both.includes("gold") ? "gold" : both[0];
    if (!name) return null;
    const [before, after] = [first, last].map((group) => given(group, group.set.scorers.indexOf(name)));
    return before && after ? { by: name, value: mean(after) - mean(before) } : null;
  };

  const spread = (groups) =>
    Math.max(0, ...groups.map((group) => {
      const values = given(group, 0);
      return values ? Math.max(...values) - Math.min(...values) : 0;
    }));

  const longest = (groups) => Math.max(...groups.flatMap((group) => group.answers.map((answer) => answer.tokens)));

  /** Turn the packed prompts into entries of one run: groups are the policies' answers, oldest policy first. */
  Report.entries = (data, run) => {
    const entries = [];
    for (const prompt of data.prompts) {
      const groups = prompt.in
        .filter(([set]) => data.sets[set].runs.includes(run))
        .map(([set, answers, marks]) => ({
          set: data.sets[set],
          answers: answers.map(([text, tokens, finished, rewards], index) => ({
            index, text, tokens, finished, rewards,
            marks: marks.filter(([at, , , runs]) => at === index && runs.includes(run)),
          })),
        }))
        .sort((a, b) => a.set.age - b.set.age);
      if (groups.length === 0) continue;
      const marks = groups.some((group) => group.answers.some((answer) => answer.marks.length > 0));
      entries.push({ prompt, groups, marks, gain: gain(groups) });
    }
    // First what shows most: prompts that gave pairs, and that several policies answered.
    entries.sort((a, b) => b.marks - a.marks || b.groups.length - a.groups.length);
    entries.forEach((entry, place) => { entry.place = place; });
    return entries;
  };

  const haystack = (entry) => {
    entry.hay ??= [
      entry.prompt.id,
      ...entry.prompt.messages.map(([, content]) => content),
      ...entry.groups.flatMap((group) => group.answers.map((answer) => answer.text)),
    ].join("\n").toLowerCase();
    return entry.hay;
  };

  Report.KINDS = {
    all: ["all prompts", () => true],
    pairs: ["prompts that gave pairs", (entry) => entry.marks],
    none: ["prompts that gave no pair", (entry) => !entry.marks],
    compared: ["several policies", (entry) => entry.groups.length > 1],
    better: ["new policy better", (entry) => entry.gain !== null && entry.gain.value > 0],
    worse: ["new policy worse", (entry) => entry.gain !== null && entry.gain.value < 0],
    cut: ["cut-off responses", (entry) => entry.groups.some((group) => group.answers.some((answer) => !answer.finished))],
  };

  const value = (entry) => entry.gain?.value ?? 0;
  Report.ORDERS = {
    given: ["prompts with pairs first", (a, b) => a.place - b.place],
    best: ["largest gain first", (a, b) => value(b) - value(a) || a.place - b.place],
    worst: ["largest loss first", (a, b) => value(a) - value(b) || a.place - b.place],
    spread: ["widest rewards first", (a, b) => spread(b.groups) - spread(a.groups) || a.place - b.place],
    long: ["longest first", (a, b) => longest(b.groups) - longest(a.groups) || a.place - b.place],
  };

  /** Return the entries that pass: every word of the query occurs somewhere in the prompt or its responses. */
  Report.select = (entries, filter) => {
    const words = filter.query.toLowerCase().split(/\s+/).filter(Boolean);
    const [, kind] = Report.KINDS[filter.kind];
    const [, order] = Report.ORDERS[filter.order];
    const inStep = (set) =>
      (filter.iteration === "" || set.iteration === Number(filter.iteration)) && (filter.step === "" || set.step === filter.step);
    return entries
      .filter((entry) => filter.section === "" || entry.prompt.section === filter.section)
      .filter((entry) => entry.groups.some((group) => inStep(group.set)))
      .filter(kind)
      .filter((entry) => words.every((word) => haystack(entry).includes(word)))
      .sort(order);
  };
})();
