/* The landing page's text box: next-token bars, attention and surprise while the reader types. */
(function () {
  "use strict";
  const box = document.querySelector(".playground[data-model]");
  if (!box) return;
  const base = document.currentScript.src.replace(/[^/]*$/, "");
  const $ = (selector) => box.querySelector(selector);
  const text = $("textarea");
  const state = { model: null, bpe: null, ids: [], layer: 0, head: 0, picked: null, timer: 0 };
  const BARS = 8;

  function element(tag, properties = {}, ...children) {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  }

  /** A token's text with its white space made visible. */
  function visible(id) {
    const name = state.bpe.names.get(id);
    if (name) return "end of story";
    return state.bpe.decode([id]).replace(/ /g, "\u00b7").replace(/\n/g, "\u21b5").replace(/\t/g, "\u21e5");
  }

  // ---- loading: when the browser is idle, and not at all on a metered connection until asked

  function load() {
    if (box.dataset.state) return;
    box.dataset.state = "loading";
    const script = element("script", { src: base + box.dataset.model });
    script.onload = () => setTimeout(start, 0);
    script.onerror = () => fail("The model's file did not load. Everything else in the book works without it.");
    document.head.append(script);
  }

  function fail(message) {
    box.dataset.state = "failed";
    $(".pg-status").textContent = message;
  }

  function start() {
    try {
      const payload = globalThis.MINIGPT_WORLD;
      state.bpe = new MiniGPT.BPE(payload.bpe);
      state.model = new MiniGPT.GPT(payload);
      payload.data = null;
    } catch (error) {
      fail("The model's file could not be read. Everything else in the book works without it.");
      return;
    }
    globalThis.minigptPage = { model: state.model, bpe: state.bpe };
    box.dataset.state = "ready";
    state.model.read(tokens().slice(-state.model.n_positions));
    [state.layer, state.head] = liveliest();
    buildHeads();
    $(".pg-status").textContent = "";
    for (const control of box.querySelectorAll("[disabled]")) control.disabled = false;
    update();
  }

  // ---- one update: encode, read, draw

  /** The text's tokens after the end-of-story mark, which every training story followed. */
  function tokens() {
    return [state.bpe.specials["<|endoftext|>"], ...state.bpe.encode(text.value)];
  }

  function update() {
    if (!state.model) return;
    const ids = tokens();
    state.cut = Math.max(0, ids.length - state.model.n_positions);
    state.ids = ids.slice(-state.model.n_positions);
    state.logits = state.model.read(state.ids);
    if (state.picked >= state.ids.length) state.picked = null;
    drawBars();
    drawTokens();
    drawHeads();
    drawSurprise();
  }

  let queued = false;
  function soon() {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => { queued = false; update(); });
  }

  // ---- next-token bars

  function best(probabilities, n) {
    return Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]).slice(0, n);
  }

  const percent = (p) => (p >= 0.0995 ? `${Math.round(100 * p)} %` : `${(100 * p).toFixed(1)} %`);
  const temperature = () => Number($(".pg-temperature").value);

  /** How the word that a token begins would most likely go on; the model is left as it was found. */
  function ghost(id) {
    const ids = [...state.ids, id];
    let word = "";
    while (ids.length <= state.model.n_positions && word.length < 16) {
      const next = best(state.model.read(ids), 1)[0];
      const piece = state.bpe.decode([next]);
      if (!/^\p{L}+$/u.test(piece) || state.bpe.names.has(next)) break;
      word += piece;
      ids.push(next);
    }
    return word;
  }

  /** Fills in the rest of each bar's word once the reader pauses. */
  function drawGhosts() {
    if (state.timer || state.cut) return;
    for (const button of box.querySelectorAll(".pg-bar")) {
      const id = Number(button.dataset.id);
      if (/\p{L}$/u.test(state.bpe.decode([id]))) button.querySelector(".pg-ghost").textContent = ghost(id);
    }
    state.model.read(state.ids);
  }

  function drawBars() {
    const p = MiniGPT.softmax(state.logits, temperature());
    const list = $(".pg-bars");
    const focused = Array.from(list.querySelectorAll("button")).indexOf(document.activeElement);
    const items = best(p, BARS).map((id) => {
      const button = element("button", { type: "button", className: "pg-bar", title: "append this token" });
      button.dataset.id = id;
      button.style.setProperty("--p", p[id]);
      button.setAttribute("aria-label", `append \u201c${visible(id).replace(/\u00b7/g, " ")}\u201d, ${percent(p[id])}`);
      button.append(
        element("span", { className: "pg-word", textContent: visible(id) },
          element("span", { className: "pg-ghost", ariaHidden: "true" })),
        element("span", { className: "pg-fill" }),
        element("span", { className: "pg-percent", textContent: percent(p[id]) }));
      button.onclick = () => { stop(); append(id); };
      return element("li", {}, button);
    });
    list.replaceChildren(...items);
    if (focused >= 0) list.querySelectorAll("button")[focused].focus();
    clearTimeout(state.pause);
    state.pause = setTimeout(drawGhosts, 180);
  }

  /** Appends one token to the text; false, and nothing appended, where the model ends its story. */
  function append(id) {
    if (state.bpe.names.has(id)) {
      say("The model ended its story here.");
      return false;
    }
    text.value += state.bpe.decode([id]);
    text.scrollTop = text.scrollHeight;
    state.picked = null;
    update();
    return true;
  }

  /** The head that now looks most firmly at one earlier token: a good first one to see. */
  function liveliest() {
    const layers = state.model.attention.at(-1);
    let found = [0, 0];
    let most = 0;
    layers.forEach((heads, layer) => heads.forEach((weights, head) => {
      for (let t = 1; t + 1 < weights.length; t++) {
        if (weights[t] > most) [most, found] = [weights[t], [layer, head]];
      }
    }));
    return found;
  }

  // ---- tokens coloured by one head's attention

  function drawTokens() {
    const query = state.picked ?? state.ids.length - 1;
    const weights = state.model.attention[query][state.layer][state.head];
    let largest = 0;
    for (const w of weights) largest = Math.max(largest, w);
    const chips = state.ids.map((id, t) => {
      const first = t === 0 && !state.cut;
      const chip = element("button", { type: "button", className: "pg-token", textContent: first ? "start" : visible(id) });
      const weight = t <= query ? weights[t] : 0;
      chip.style.setProperty("--w", largest ? weight / largest : 0);
      chip.classList.toggle("pg-query", t === query);
      chip.classList.toggle("pg-future", t > query);
      chip.classList.toggle("pg-special", first);
      chip.tabIndex = t === query ? 0 : -1;
      chip.setAttribute("aria-pressed", String(t === query));
      chip.title = t <= query ? `attention ${percent(weight)}` : "in the future: masked";
      chip.onclick = () => { state.picked = t; drawTokens(); drawHeads(); focusChip(); };
      return chip;
    });
    $(".pg-tokens").replaceChildren(...chips);
    const order = Array.from(weights.keys()).sort((a, b) => weights[b] - weights[a]).slice(0, 3);
    const name = (t) => (t === 0 && !state.cut ? "the start" : `\u201c${visible(state.ids[t])}\u201d`);
    $(".pg-reading").textContent =
      `Layer ${state.layer + 1}, head ${state.head + 1}: ${name(query)} looks at ` +
      order.map((t) => `${t === query ? "itself" : name(t)} (${percent(weights[t])})`).join(", ") + ".";
  }

  function focusChip() {
    const chip = $(".pg-query");
    if (chip) chip.focus();
  }

  function moveQuery(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const query = state.picked ?? state.ids.length - 1;
    state.picked = Math.min(state.ids.length - 1, Math.max(0, query + step));
    drawTokens();
    drawHeads();
    focusChip();
  }

  // ---- all heads as small maps

  function buildHeads() {
    const { n_layer: layers, n_head: heads } = state.model;
    const grid = $(".pg-heads");
    grid.style.setProperty("--heads", heads);
    for (let layer = 0; layer < layers; layer++) {
      for (let head = 0; head < heads; head++) {
        const radio = element("input", { type: "radio", name: "pg-head", className: "pg-radio" });
        radio.checked = layer === state.layer && head === state.head;
        radio.setAttribute("aria-label", `layer ${layer + 1}, head ${head + 1}`);
        radio.onchange = () => { state.layer = layer; state.head = head; drawTokens(); };
        const map = element("canvas", { width: 44, height: 44 });
        map.setAttribute("aria-hidden", "true");
        grid.append(element("label", { className: "pg-map", title: `layer ${layer + 1}, head ${head + 1}` }, radio, map));
      }
    }
  }

  /** The last tokens' maps, at most 22 of them, so that each cell is 2 pixels or more. */
  function drawHeads() {
    const n = state.ids.length;
    const from = Math.max(0, n - 22);
    const cell = Math.max(2, Math.floor(44 / (n - from)));
    const colour = getComputedStyle(box).getPropertyValue("--pg-ink").trim();
    const { n_head: heads } = state.model;
    $(".pg-heads").querySelectorAll("canvas").forEach((canvas, i) => {
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, 44, 44);
      context.fillStyle = colour;
      for (let t = from; t < n; t++) {
        const weights = state.model.attention[t][Math.floor(i / heads)][i % heads];
        for (let s = from; s <= t; s++) {
          context.globalAlpha = Math.max(0.06, Math.sqrt(weights[s]));
          context.fillRect((s - from) * cell, (t - from) * cell, cell, cell);
        }
      }
    });
  }

  // ---- what the reader's own text cost the model

  function drawSurprise() {
    const bytes = state.bpe.bytes(state.ids.slice(1)).length;
    const out = $(".pg-surprise");
    if (!bytes) {
      out.textContent = "Nothing written yet: these are the likeliest first tokens of a story.";
      return;
    }
    let bits = 0;
    for (let t = 1; t < state.ids.length; t++) {
      bits -= Math.log2(Math.max(1e-12, MiniGPT.softmax(state.model.logits[t - 1])[state.ids[t]]));
    }
    const cut = state.cut ? ` It sees the last ${state.model.n_positions} tokens only.` : "";
    const n = state.ids.length - (state.cut ? 0 : 1);
    out.textContent = `${n} token${n === 1 ? "" : "s"}, ${bytes} byte${bytes === 1 ? "" : "s"}: your text costs this model ` +
      `${(bits / bytes).toFixed(2)} bits per byte. Blind guessing costs 8.${cut}`;
  }

  // ---- writing on

  function say(message) {
    $(".pg-live").textContent = message;
  }

  function stop() {
    clearTimeout(state.timer);
    state.timer = 0;
    $(".pg-write").textContent = "Write on";
  }

  function write() {
    if (state.timer) {
      stop();
      say("Stopped.");
      return;
    }
    say("Writing.");
    $(".pg-write").textContent = "Stop";
    let left = 400;
    const next = () => {
      const id = MiniGPT.draw(MiniGPT.softmax(state.logits, temperature()), Math.random());
      if (!append(id) || --left === 0) {
        stop();
        return;
      }
      state.timer = setTimeout(next, 45);
    };
    state.timer = setTimeout(next, 0);
  }

  function showTemperature() {
    const t = temperature();
    $(".pg-degree").textContent = t.toFixed(1);
    if (state.model) drawBars();
  }

  // ---- wiring

  text.addEventListener("input", () => { stop(); state.picked = null; soon(); });
  text.addEventListener("focus", load, { once: true });
  let release = false;
  text.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      release = true;
      say("Tab now leaves the text box.");
    } else if (event.key === "Tab" && !event.shiftKey && !release && state.model) {
      event.preventDefault();
      stop();
      append(best(state.logits, 1)[0]);
    } else if (event.key !== "Tab" && event.key !== "Shift") {
      release = false;
    }
  });
  $(".pg-write").addEventListener("click", write);
  $(".pg-temperature").addEventListener("input", showTemperature);
  $(".pg-tokens").addEventListener("keydown", moveQuery);
  for (const opening of box.querySelectorAll(".pg-opening")) {
    opening.addEventListener("click", () => { stop(); text.value = opening.dataset.text; state.picked = null; update(); });
  }
  new MutationObserver(() => state.model && drawHeads())
    .observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  showTemperature();

  const saving = navigator.connection && navigator.connection.saveData;
  if (saving) {
    $(".pg-status").textContent = "Click into the text box to load the model (about 3 MB).";
  } else if ("requestIdleCallback" in window) {
    addEventListener("load", () => requestIdleCallback(load, { timeout: 3000 }));
  } else {
    addEventListener("load", () => setTimeout(load, 300));
  }
})();
