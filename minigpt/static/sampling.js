start("sampling", (root, data) => {
  const cases = data.cases, shown = 12, last = cases[0].below.length;
  const ks = [1, 2, 3, 5, 10, 20, 40, 100, 300, 1000].filter((k) => k < last).concat(last);
  const texts = cases.map((one) => element("button", {}, `${visible(one.text).replace(/·/g, " ")} …`)), row = element("div", { class: "mg-row", "aria-label": "the text to continue" });
  const told = element("p", { "aria-live": "polite" }), bars = element("div", { class: "mg-bars" });
  const drawn = element("p", { "aria-live": "polite", class: "mg-tokens" });
  const slider = (name, max, value, label) => {
    const input = element("input", { type: "range", min: 0, max, value, "aria-label": name }), says = element("strong", {});
    const update = () => {
      says.textContent = label(Number(input.value));
      input.setAttribute("aria-valuetext", label(Number(input.value)));
    };
    input.addEventListener("input", () => { update(); draw(); });
    update();
    return { input, update, row: element("label", { class: "mg-row" }, `${name} `, says, input), get: () => Number(input.value) };
  };
  const heat = slider("temperature", 40, 20, (v) => v === 0 ? "0 (greedy)" : (v / 20).toFixed(2));
  const keep = slider("top-k", ks.length - 1, ks.length - 1, (v) => ks[v] === last ? "all" : String(ks[v]));
  const mass = slider("top-p", 20, 20, (v) => v === 0 ? "0.01" : (v / 20).toFixed(2));
  let current = 0, probs = [];

  // The rules in the order of the package: divide by the temperature, keep k, keep the fewest that reach p, sum to one again.
  const normal = (values) => {
    const sum = values.reduce((a, b) => a + b, 0);
    return values.map((v) => v / sum);
  };
  const distribution = (below) => {
    if (heat.get() === 0) return below.map((_, i) => Number(i === 0));
    let p = below.map((b) => Math.exp(-b / 100 / (heat.get() / 20)));
    const kth = below[ks[keep.get()] - 1];
    p = normal(p.map((v, i) => below[i] > kth ? 0 : v));
    if (mass.get() === 20) return p;
    const limit = mass.get() === 0 ? 0.01 : mass.get() / 20;
    let before = 0;
    return normal(p.map((v) => {
      const kept = before < limit ? v : 0;
      before += v;
      return kept;
    }));
  };
  const draw = () => {
    const one = cases[current];
    probs = distribution(one.below);
    const left = probs.filter((p) => p > 0).length, rest = probs.slice(shown).reduce((a, b) => a + b, 0);
    const choices = Math.exp(-probs.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0));
    const bar = (name, p, cut) => {
      const box = element("div", { class: "mg-bar", "aria-hidden": "true" });
      box.style.width = 100 * p + "%";
      return [element("span", { class: cut ? "mg-name mg-dim" : "mg-name" }, name), box, element("span", {}, cut ? "cut" : percent(p))];
    };
    told.textContent = `${left} of ${last} tokens can be drawn; as uncertain as ${choices.toFixed(1)} equally likely ones.`;
    bars.replaceChildren(...one.tokens.slice(0, shown).flatMap((token, i) => bar(visible(token), probs[i], probs[i] === 0)),
      ...(last > shown ? bar(`${last - shown} others`, rest, rest === 0) : []));
  };
  const pull = () => {
    let u = Math.random(), i = 0;
    while (i < last - 1 && (u -= probs[i]) >= 0) i += 1;
    const names = cases[current].tokens;
    return i < names.length ? visible(names[i]) : `(number ${i + 1})`;
  };
  const button = (label, action) => {
    const made = element("button", { type: "button" }, label);
    made.addEventListener("click", action);
    return made;
  };
  const pick = choose(row, texts, 1, (i) => { current = i; drawn.replaceChildren(); draw(); });
  root.append(row, heat.row, keep.row, mass.row, told, bars,
    element("div", { class: "mg-row" }, button("Draw ten", () => drawn.replaceChildren("Drawn:", ...Array.from({ length: 10 },
      () => element("span", { class: "mg-piece" }, pull())))),
    button("Start again", () => {
      [[heat, 20], [keep, ks.length - 1], [mass, 20]].forEach(([one, value]) => { one.input.value = value; one.update(); });
      drawn.replaceChildren();
      draw();
    })), drawn,
    element("p", { class: "mg-dim" }, "Choose a text, then move the sliders with the mouse or the arrow keys. The order of the tokens never changes; only their shares do."));
  pick(0);
});
