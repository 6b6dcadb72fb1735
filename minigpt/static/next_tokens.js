start("next_tokens", (root, data) => {
  const { tokens, top } = data, row = element("div", { class: "mg-tokens", "aria-label": "the token after which to predict" });
  const text = element("p", { "aria-live": "polite" }), bars = element("div", { class: "mg-bars" });
  const buttons = tokenButtons(tokens);
  buttons.forEach((button) => button.lastChild.remove());
  const pick = choose(row, buttons, 1, (i) => {
    const next = tokens[i + 1];
    text.replaceChildren("After ", element("strong", {}, visible(tokens[i])), " the model expects:",
      next === undefined ? "" : " (in the text: ", next === undefined ? "" : element("strong", {}, visible(next)), next === undefined ? "" : ")");
    bars.replaceChildren(...top[i].flatMap(([token, p]) => {
      const bar = element("div", { class: "mg-bar", "aria-hidden": "true" });
      bar.style.width = 100 * p + "%";
      return [element("span", { class: "mg-name" }, visible(token) + (token === next ? " ✓" : "")), bar, element("span", {}, percent(p))];
    }));
  });
  buttons.forEach((button, i) => button.addEventListener("mouseenter", () => pick(i)));
  root.append(row, text, bars, element("p", { class: "mg-dim" },
    "Point at a token, or use the arrow keys, to see the prediction made after it; ✓ marks the token that does follow."));
  pick(tokens.length - 1);
});
