// Shared by every view. Strings reach the page only as text nodes and attributes, never as markup.
const element = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const percent = (p) => (p >= 0.0995 ? Math.round(100 * p) : (100 * p).toFixed(1)) + " %";
const visible = (text) => text === "" ? "∅" : text.replace(/ /g, "·").replace(/\n/g, "⏎").replace(/\t/g, "⇥")
  .replace(/[\u0000-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
  .replace(/[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (c) => "‹" + c.charCodeAt(0).toString(16) + "›");

// One choice among buttons: a single tab stop, arrow keys move (up and down by a row of `columns`), Home and End jump.
const choose = (group, buttons, columns, onChoice) => {
  const pick = (index, focus) => {
    buttons.forEach((button, i) => {
      button.setAttribute("aria-checked", String(i === index));
      button.tabIndex = i === index ? 0 : -1;
    });
    if (focus) buttons[index].focus();
    onChoice(index);
  };
  buttons.forEach((button, i) => {
    button.type = "button";
    button.setAttribute("role", "radio");
    button.addEventListener("click", () => pick(i, true));
    button.addEventListener("keydown", (event) => {
      const move = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
      const target = event.key === "Home" ? 0 : event.key === "End" ? buttons.length - 1 : move ? i + move : -1;
      if (move || event.key === "Home" || event.key === "End") event.preventDefault();
      if (target >= 0 && target < buttons.length) pick(target, true);
    });
  });
  group.setAttribute("role", "radiogroup");
  group.append(...buttons);
  return pick;
};
const tokenButtons = (tokens) => tokens.map((token, i) => element("button",
  { class: "mg-token", "aria-label": `token ${i + 1} of ${tokens.length}: ${visible(token)}` }, visible(token), element("small")));

// Back, forward and a slider over the steps 0..last; `onStep(k)` draws step k.
const stepper = (last, name, onStep) => {
  const back = element("button", {}, "◀ Back"), forward = element("button", {}, "Forward ▶");
  const slider = element("input", { type: "range", min: 0, max: last, value: 0, "aria-label": name });
  const go = (k) => {
    slider.value = k;
    back.disabled = k <= 0;
    forward.disabled = k >= last;
    onStep(k);
  };
  back.type = forward.type = "button";
  back.addEventListener("click", () => go(Math.max(0, Number(slider.value) - 1)));
  forward.addEventListener("click", () => go(Math.min(last, Number(slider.value) + 1)));
  slider.addEventListener("input", () => go(Number(slider.value)));
  return { row: element("div", { class: "mg-row" }, back, forward, slider), go };
};
const start = (kind, draw) => {
  for (const root of document.querySelectorAll(`.minigpt-view[data-view="${kind}"]:not([data-ready])`)) {
    root.dataset.ready = "1";
    root.querySelector(".mg-note").remove();
    draw(root, JSON.parse(root.querySelector(".minigpt-data").textContent));
  }
};
