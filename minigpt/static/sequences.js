start("sequences", (root, data) => {
  const tabs = element("div", { class: "mg-row", "aria-label": "which example" }), panel = element("div");
  const row = (tokens, number, count) => {
    const group = element("div", { class: "mg-tokens", "aria-label": `sequence ${number} of ${count}: where to read` });
    const text = element("p", { class: "mg-dim", "aria-live": "polite" });
    const buttons = tokenButtons(tokens.map(([token]) => token));
    buttons.forEach((button, i) => {
      button.classList.add("mg-" + tokens[i][1]);
      button.lastChild.remove();
    });
    const pick = choose(group, buttons, 1, (at) => {
      buttons.forEach((button, i) => button.classList.toggle("mg-later", i > at));
      text.textContent = at === buttons.length - 1 ? `▲ The head reads here, at ${tokens[at][0]}: this position has seen all ${buttons.length} tokens.`
        : `Read here, the head would know ${at + 1} of ${buttons.length} tokens; the dashed ones come later and are hidden.`;
    });
    pick(buttons.length - 1);
    return element("div", { class: "mg-sequence" }, element("p", {}, element("strong", {}, count > 1 ? `Sequence ${number} of ${count}` : "One sequence")), group, text);
  };
  const buttons = data.cases.map((one) => element("button", {}, one.name));
  const pick = choose(tabs, buttons, 1, (c) => {
    const { note, parts, sequences } = data.cases[c];
    panel.replaceChildren(
      element("p", { class: "mg-row" }, ...parts.map((name, i) => element("span", { class: "mg-piece " + (i ? "mg-second" : "mg-first") }, name)),
        element("span", { class: "mg-piece mg-special" }, "special tokens")),
      ...sequences.map((tokens, i) => row(tokens, i + 1, sequences.length)), element("p", {}, note));
  });
  root.append(tabs, panel, element("p", { class: "mg-dim" },
    "Choose an example above; point at a token and click, or use the arrow keys, to read at another place. · is a space, ⏎ a line break."));
  pick(0);
});
