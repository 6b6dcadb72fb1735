start("attention", (root, data) => {
  const { tokens, maps } = data, count = tokens.length, heads = maps[0].length;
  const weight = (map, row, column) => (map[row][column] || 0) / 1000;
  let map = maps[0][0], query = count - 1;
  const paint = (canvas, values, marked) => {
    canvas.width = canvas.height = count;
    const pen = canvas.getContext("2d");
    values.forEach((row, i) => row.forEach((_, j) => {
      pen.fillStyle = `rgba(30, 120, 210, ${Math.sqrt(weight(values, i, j))})`;
      pen.fillRect(j, i, 1, 1);
    }));
    if (marked === undefined) return;
    pen.fillStyle = "rgba(214, 94, 0, 0.25)";
    pen.fillRect(0, marked, count, 1);
  };
  const title = element("p", { "aria-live": "polite" }), row = element("div", { class: "mg-tokens", "aria-label": "the token that looks" });
  const thumbs = element("div", { class: "mg-thumbs", "aria-label": "layer and head" });
  const big = element("canvas", { class: "mg-big", role: "img" }), body = element("tbody");
  const buttons = tokenButtons(tokens);
  let place = "";
  const draw = () => {
    paint(big, map, query);
    const order = tokens.map((_, j) => j).filter((j) => weight(map, query, j) > 0)
      .sort((a, b) => weight(map, query, b) - weight(map, query, a));
    buttons.forEach((button, j) => {
      const w = weight(map, query, j), masked = j >= map[query].length;
      button.style.backgroundColor = masked ? "" : `rgba(var(--mg-heat), ${Math.sqrt(w)})`;
      button.classList.toggle("mg-later", masked);
      button.lastChild.textContent = masked ? "–" : percent(w);
    });
    title.replaceChildren(`${place}. From `, element("strong", {}, visible(tokens[query])), " most goes to ",
      order.slice(0, 3).map((j) => `${visible(tokens[j])} (${percent(weight(map, query, j))})`).join(", ") + ".");
    big.setAttribute("aria-label", `attention map, ${place}: one row for each token that looks, one column for each token seen`);
    body.replaceChildren(...order.map((j) => element("tr", {}, element("td", {}, String(j + 1)),
      element("td", { class: "mg-token" }, visible(tokens[j])), element("td", {}, percent(weight(map, query, j))))));
  };
  thumbs.style.gridTemplateColumns = `repeat(${heads}, max-content)`;
  const all = maps.flatMap((layer, l) => layer.map((values, h) => ({ values, name: `Layer ${l + 1}, head ${h + 1}` })));
  const pictures = all.map(({ values, name }) => {
    const canvas = element("canvas", { "aria-hidden": "true" });
    paint(canvas, values);
    return element("button", { "aria-label": name, title: name }, canvas);
  });
  const pickMap = choose(thumbs, pictures, heads, (i) => { map = all[i].values; place = all[i].name; draw(); });
  const pickToken = choose(row, buttons, 1, (i) => { query = i; draw(); });
  buttons.forEach((button, i) => button.addEventListener("mouseenter", () => pickToken(i)));
  big.addEventListener("mousemove", (event) => {
    const box = big.getBoundingClientRect();
    pickToken(Math.min(count - 1, Math.max(0, Math.floor((event.clientY - box.top) / box.height * count))));
  });
  root.append(title, row, element("div", { class: "mg-maps" }, thumbs, big),
    element("p", { class: "mg-dim" }, "Point at a token, or use the arrow keys, to see where it looks; "
      + "the small maps choose the layer (rows) and the head (columns). A dash: hidden by the mask."),
    element("details", {}, element("summary", {}, "The same as a table"), element("table", {},
      element("thead", {}, element("tr", {}, ...["position", "token seen", "attention"].map((name) => element("th", { scope: "col" }, name)))), body)));
  pickMap(data.map);
  pickToken(data.query);
});
