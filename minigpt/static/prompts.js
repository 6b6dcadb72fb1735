start("prompts", (root, data) => {
  const { model, groups } = data, bars = element("div", { class: "mg-bars" });
  const groupRow = element("div", { class: "mg-row", "aria-label": "the kind of prompt" });
  const shown = element("p", { class: "mg-prompt", tabindex: 0, role: "region", "aria-label": "the prompt" }), told = element("p", { "aria-live": "polite" });
  const endings = element("div"), after = element("p");
  const draw = (group, i) => {
    const { name, parts, next, writes } = group.variants[i];
    // What the variants share stands plain, what is this one's own is marked.
    shown.replaceChildren(parts[0], ...(parts[1] ? [element("mark", {}, parts[1])] : []), parts[2]);
    shown.scrollTop = shown.scrollHeight; // its end is what the model goes on from
    told.replaceChildren("With ", element("strong", {}, name), `, ${model} expects ${visible(next[0][0])} with ${percent(next[0][1])}`,
      next.length > 1 ? `, then ${visible(next[1][0])} with ${percent(next[1][1])}.` : ".");
    bars.replaceChildren(...next.flatMap(([token, p]) => {
      const bar = element("div", { class: "mg-bar", "aria-hidden": "true" });
      bar.style.width = 100 * p + "%";
      return [element("span", { class: "mg-name" }, visible(token)), bar, element("span", {}, percent(p))];
    }));
    after.replaceChildren(writes === "" ? "" : "It writes on: ", element("span", { class: "mg-written" }, writes));
  };
  const open = (group) => {
    const row = element("div", { class: "mg-row", "aria-label": "what is put into the prompt" });
    const buttons = group.variants.map(({ name }) => element("button", {}, name));
    const pick = choose(row, buttons, 1, (i) => draw(group, i));
    endings.replaceChildren(row);
    pick(0);
  };
  const pickGroup = choose(groupRow, groups.map(({ name }) => element("button", {}, name)), 1, (i) => open(groups[i]));
  root.append(...(groups.length > 1 ? [groupRow] : []), endings, shown, told, bars, after, element("p", { class: "mg-dim" },
    "Change the prompt by a click or with the arrow keys; what is its own is marked, and the bars are the likeliest next tokens."));
  pickGroup(0);
});
