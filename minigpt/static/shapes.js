start("shapes", (root, data) => {
  const make = (tag, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const written = (shape) => "(" + shape.map(([, size]) => size).join(", ") + ")";
  const label = (pair) => pair ? pair.filter((part) => part !== "").join(" ") : "1";
  const length = (pair) => pair && Number(pair[1]) > 0 ? Math.min(150, 18 + 17 * Math.log2(Number(pair[1]))) : 18;
  const picture = (step) => {
    const dims = step.shape, wide = dims[dims.length - 1], high = dims[dims.length - 2], outer = dims.slice(0, -2);
    const sheets = Math.min(4, outer.reduce((n, pair) => n * (Number(pair[1]) || 1), 1));
    const width = length(wide), height = length(high), tall = height + 76;
    const svg = make("svg", { viewBox: `0 0 300 ${tall}`, width: 300, height: tall, role: "img",
      "aria-label": `${step.name}: ${dims.map(label).join(" by ")}` });
    for (let i = sheets - 1; i >= 0; i -= 1) svg.append(make("rect", { x: 90 + 8 * i, y: 48 - 8 * i, width, height, rx: 2 }));
    svg.append(make("text", { x: 90 + width / 2, y: 66 + height, "text-anchor": "middle" }, label(wide)));
    if (high) svg.append(make("text", { x: 84, y: 52 + height / 2, "text-anchor": "end" }, label(high)));
    if (outer.length) svg.append(make("text", { x: 90, y: 14 }, outer.map(label).join(" × ") + (sheets > 1 ? " sheets" : " sheet")));
    return svg;
  };
  const list = element("div", { class: "mg-steps", "aria-label": "steps" }), panel = element("div", { class: "mg-panel", "aria-live": "polite" });
  const buttons = data.steps.map((step) => element("button", {}, element("span", {}, step.name), element("code", {}, written(step.shape))));
  let current = 0;
  const pick = choose(list, buttons, 1, (k) => {
    current = k;
    back.disabled = k === 0;
    forward.disabled = k === buttons.length - 1;
    panel.replaceChildren(element("p", {}, element("strong", {}, data.steps[k].name)), picture(data.steps[k]), element("p", {}, data.steps[k].note));
  });
  const back = element("button", { type: "button" }, "◀ Back"), forward = element("button", { type: "button" }, "Forward ▶");
  back.addEventListener("click", () => pick(current - 1));
  forward.addEventListener("click", () => pick(current + 1));
  root.append(element("div", { class: "mg-row" }, back, forward), element("div", { class: "mg-maps" }, list, panel));
  pick(0);
});
